package wharfside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
)

const betweenLooks = time.Second

// ErrNothing means that nothing is kept there, or nothing any more.
var ErrNothing = errors.New("nothing is kept there")

// Last gives the newest under exactly this subject, or ErrNothing.
func (f *Fleet) Last(ctx context.Context, stream, subject string) (Stored, error) {
	answer, err := f.ask(ctx, &nats.Msg{Subject: fmt.Sprintf("$JS.API.DIRECT.GET.%s.%s", stream, subject)})
	if err != nil {
		return Stored{}, err
	}
	switch status := answer.Header.Get("Status"); status {
	case "":
		return stored(answer)
	case noMatch:
		return Stored{}, fmt.Errorf("%s: %w", subject, ErrNothing)
	default:
		return Stored{}, fmt.Errorf("%s: %s %s", subject, status, answer.Header.Get("Description"))
	}
}

// Newest gives the newest under exactly this subject once it is there and wanted, which may be nil.
// live is where it is republished.
func (f *Fleet) Newest(ctx context.Context, stream, subject, live string, wanted func(Stored) bool) (Stored, error) {
	bell, err := f.hang(live)
	if err != nil {
		return Stored{}, err
	}
	defer bell.close()
	for {
		last, err := f.Last(ctx, stream, subject)
		if err == nil && (wanted == nil || wanted(last)) || err != nil && !errors.Is(err, ErrNothing) {
			return last, err
		}
		if err := bell.wait(ctx); err != nil {
			return Stored{}, fmt.Errorf("nothing wanted under %s: %w", subject, err)
		}
	}
}

// Bucket gives the values of a bucket by key; one whose last message is a deletion is not there.
func (f *Fleet) Bucket(ctx context.Context, name, keys string) (map[string]Stored, error) {
	root := "$KV." + name + "."
	values := map[string]Stored{}
	reader := f.Read("KV_"+name, root+keys, 1)
	for {
		each, err := reader.Next(ctx)
		if err == io.EOF {
			return values, nil
		}
		if err != nil {
			return nil, err
		}
		key := each.Subject[len(root):]
		values[key] = each
		if each.Headers.Get("KV-Operation") != "" {
			delete(values, key)
		}
	}
}

// bell is rung by what comes on a live subject. A ring between two looks is not lost; without one,
// it is time to look after a while anyway.
type bell struct {
	rung chan struct{}
	sub  *nats.Subscription
}

// hang's subscription is there for the server before anything that is asked next.
func (f *Fleet) hang(live string) (*bell, error) {
	b := &bell{rung: make(chan struct{}, 1)}
	var err error
	b.sub, err = f.Conn.Subscribe(live, func(*nats.Msg) {
		select {
		case b.rung <- struct{}{}:
		default:
		}
	})
	return b, err
}

func (b *bell) wait(ctx context.Context) error {
	timer := time.NewTimer(betweenLooks)
	defer timer.Stop()
	select {
	case <-b.rung:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (b *bell) close() { b.sub.Unsubscribe() }
