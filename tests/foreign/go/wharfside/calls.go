package wharfside

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	patience = 10 * time.Second
	waitS    = 20
)

// ErrNodeAway means that nobody listens there: the node is away, or there is none of that name.
var ErrNodeAway = errors.New("the node is not connected")

// ErrDenied means that the server lets this user not publish there.
var ErrDenied = errors.New("not for this user")

// NewID makes up what no other command has.
func NewID() string {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		panic(err) // a machine without random numbers
	}
	return hex.EncodeToString(raw)
}

// Call asks a node, and decodes the value of its answer into value, which may be nil. It returns an
// *Error, ErrNodeAway, ErrDenied, or that of ctx, which without a deadline gets one of 10 s.
func (f *Fleet) Call(ctx context.Context, node, op string, args, value any) error {
	result, err := f.Request(ctx, Command{Op: op, Node: node, Args: args})
	if err != nil {
		return err
	}
	return result.Into(value)
}

// Request asks the command's node; an ID is made up where it has none.
func (f *Fleet) Request(ctx context.Context, command Command) (Result, error) {
	if command.ID == "" {
		command.ID = NewID()
	}
	payload, err := Encode(command)
	if err != nil {
		return Result{}, err
	}
	result, _, err := f.Raw(ctx, command.Node, command.Op, payload, nil)
	return result, err
}

// Raw asks with a payload that the caller has made, whatever it says. Of the answer it gives the
// headers, too.
func (f *Fleet) Raw(ctx context.Context, node, op string, payload []byte, headers nats.Header) (Result, nats.Header, error) {
	subject := fmt.Sprintf("%s.rpc.%s.%s", f.Prefix, node, op)
	answer, err := f.ask(ctx, &nats.Msg{Subject: subject, Data: payload, Header: headers})
	if errors.Is(err, nats.ErrNoResponders) {
		return Result{}, nil, fmt.Errorf("%s: %w", node, ErrNodeAway)
	}
	if err != nil {
		return Result{}, nil, err
	}
	var result Result
	err = Unmarshal(answer.Data, &result)
	return result, answer.Header, err
}

func (f *Fleet) ask(ctx context.Context, message *nats.Msg) (*nats.Msg, error) {
	ctx, cancel := bounded(ctx, patience)
	defer cancel()
	asked := &asking{subject: message.Subject, cancel: cancel}
	f.began(asked)
	answer, err := f.Conn.RequestMsgWithContext(ctx, message)
	if denied := f.ended(asked); denied != nil {
		return nil, fmt.Errorf("%w: %v", ErrDenied, denied)
	}
	return answer, err
}

// Wait asks again until the process has ended, or ctx has. args may say more than the container.
func (f *Fleet) Wait(ctx context.Context, node string, args Map) (Waited, error) {
	asked := Map{"timeout_s": waitS}
	for key, value := range args {
		asked[key] = value
	}
	for {
		var value Waited
		once, cancel := context.WithTimeout(ctx, waitS*time.Second+patience)
		err := f.Call(once, node, "wait", asked, &value)
		cancel()
		if err != nil || value.Exit != nil {
			return value, err
		}
	}
}

// bounded is ctx, with a deadline where it has none.
func bounded(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, within)
}
