package wharfside

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	service   = "wharfside-agent"
	gathering = 500 * time.Millisecond
)

// Service is an answer to NATS micro's PING, INFO or STATS (ADR-32); endpoints are in the last two.
type Service struct {
	Type      string            `json:"type"`
	Metadata  map[string]string `json:"metadata"`
	Endpoints []Endpoint        `json:"endpoints"`
}

// Endpoint is what a node has one of.
type Endpoint struct {
	Subject     string            `json:"subject"`
	Metadata    map[string]string `json:"metadata"`
	NumRequests int               `json:"num_requests"`
}

// Services gives all answers to PING, INFO or STATS: who answers now. It has heard all when for half a
// second none has come.
func (f *Fleet) Services(ctx context.Context, verb string) ([]Service, error) {
	inbox, err := f.Conn.SubscribeSync(f.Conn.NewInbox())
	if err != nil {
		return nil, err
	}
	defer inbox.Unsubscribe()
	if err := f.Conn.PublishRequest("$SRV."+verb+"."+service, inbox.Subject, nil); err != nil {
		return nil, err
	}
	var answers []Service
	for {
		message, err := nextWithin(ctx, inbox, gathering)
		if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return answers, nil
		}
		if err != nil {
			return nil, err
		}
		var answer Service
		if err := json.Unmarshal(message.Data, &answer); err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
}

func nextWithin(ctx context.Context, inbox *nats.Subscription, within time.Duration) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return inbox.NextMsgWithContext(ctx)
}

// Presences gives every node that the bucket knows by its name, also those that are away.
func (f *Fleet) Presences(ctx context.Context) (map[string]NodeInfo, error) {
	kept, err := f.Bucket(ctx, "WHARFSIDE_NODES", ">")
	nodes := map[string]NodeInfo{}
	for name, each := range kept {
		var info NodeInfo
		if err := each.Into(&info); err != nil {
			return nil, err
		}
		nodes[name] = info
	}
	return nodes, err
}

// Projection waits for what the bucket has of a container, as it is wanted, which may be nil.
func (f *Fleet) Projection(ctx context.Context, node, name string, wanted func(Projection) bool) (Projection, error) {
	var projection Projection
	key := node + "." + name
	fits := func(kept Stored) bool {
		projection = Projection{}
		err := kept.Into(&projection)
		return err == nil && (wanted == nil || wanted(projection))
	}
	_, err := f.Newest(ctx, "KV_WHARFSIDE_CONTAINERS", "$KV.WHARFSIDE_CONTAINERS."+key, f.Prefix+".kv.containers."+key, fits)
	return projection, err
}
