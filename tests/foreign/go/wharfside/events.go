package wharfside

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
)

const events = "WHARFSIDE_EVT"

// Told is an event as a stream keeps it. To go on behind it, remember Stored.Seq.
type Told struct {
	Stored
	Event Event
}

// Feed is events from a place in the stream on, for ever.
type Feed struct {
	reader *Reader
	bell   *bell
}

// Follow gives the events from the place from on whose subject matches `<node>.<container>.<type>`: the
// live ones ring, the stream tells.
func (f *Fleet) Follow(filter string, from uint64) (*Feed, error) {
	bell, err := f.hang(f.Prefix + ".live.evt." + filter)
	return &Feed{f.Read(events, f.Prefix+".evt."+filter, from), bell}, err
}

// Next waits for the next event.
func (feed *Feed) Next(ctx context.Context) (told Told, err error) {
	for {
		if told.Stored, err = feed.reader.Next(ctx); err != io.EOF {
			break
		}
		if err = feed.bell.wait(ctx); err != nil {
			break
		}
	}
	if err == nil {
		err = told.Into(&told.Event)
	}
	return told, err
}

// Close ends the feed.
func (feed *Feed) Close() { feed.bell.close() }

// Given is an event that the durable consumer gave, and gives again unless it is acked within 30 s.
type Given struct {
	Told
	message *nats.Msg
}

// Ack returns once the server knows it.
func (g Given) Ack(ctx context.Context) error { return g.message.AckSync(nats.Context(ctx)) }

// Again hands it back.
func (g Given) Again() error { return g.message.Nak() }

// Pull takes one event of the durable consumer that the provisioner made for this user. One at a time:
// what is pulled and left comes again only when its ack is overdue.
func (f *Fleet) Pull(ctx context.Context) (Given, error) {
	inbox, err := f.Conn.SubscribeSync(f.Conn.NewInbox())
	if err != nil {
		return Given{}, err
	}
	defer inbox.Unsubscribe()
	for {
		message, err := f.pullOnce(ctx, inbox)
		if err != nil {
			return Given{}, err
		}
		switch status := message.Header.Get("Status"); status {
		case "":
			return given(message)
		case "404", "408": // none for now
		default:
			return Given{}, fmt.Errorf("%s: %s %s", f.Peer, status, message.Header.Get("Description"))
		}
	}
}

func (f *Fleet) pullOnce(ctx context.Context, inbox *nats.Subscription) (*nats.Msg, error) {
	asked, err := json.Marshal(Map{"batch": 1, "expires": 5 * time.Second})
	if err != nil {
		return nil, err
	}
	subject := fmt.Sprintf("$JS.API.CONSUMER.MSG.NEXT.%s.%s", events, f.Peer)
	if err := f.Conn.PublishRequest(subject, inbox.Subject, asked); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx, patience)
	defer cancel()
	return inbox.NextMsgWithContext(ctx)
}

func given(message *nats.Msg) (Given, error) {
	place, err := message.Metadata()
	if err != nil {
		return Given{}, err
	}
	kept := Stored{place.Sequence.Stream, message.Subject, message.Header, message.Data}
	told := Given{Told{Stored: kept}, message}
	return told, kept.Into(&told.Event)
}
