package wharfside

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/nats-io/nats.go"
)

const (
	page      = 500
	endOfPage = "204"
	noMatch   = "404"
)

// Stored is a message that a stream keeps. Seq is its place there, which is not an event's Seq.
type Stored struct {
	Seq     uint64
	Subject string
	Headers nats.Header
	Data    []byte
}

// Into decodes what it says.
func (s Stored) Into(v any) error { return Unmarshal(s.Data, v) }

// Reader reads a stream by direct get, page by page: each message once, in order. No consumer is made.
type Reader struct {
	conn    *nats.Conn
	stream  string
	subject string
	next    uint64
	page    []Stored
	pending bool
}

// Read begins at the place from, with what matches subject.
func (f *Fleet) Read(stream, subject string, from uint64) *Reader {
	return &Reader{conn: f.Conn, stream: stream, subject: subject, next: from, pending: true}
}

// Next gives io.EOF at the end of what is there now. Asked again, it looks again.
func (r *Reader) Next(ctx context.Context) (Stored, error) {
	if len(r.page) == 0 && r.pending {
		if err := r.turn(ctx); err != nil {
			return Stored{}, err
		}
	}
	if len(r.page) == 0 {
		r.pending = true
		return Stored{}, io.EOF
	}
	first := r.page[0]
	r.page = r.page[1:]
	r.next = first.Seq + 1
	return first, nil
}

// turn asks for the next page, and takes it up to the message that ends it.
func (r *Reader) turn(ctx context.Context) error {
	ctx, cancel := bounded(ctx, patience)
	defer cancel()
	inbox, err := r.conn.SubscribeSync(r.conn.NewInbox())
	if err != nil {
		return err
	}
	defer inbox.Unsubscribe()
	asked, err := json.Marshal(Map{"batch": page, "seq": r.next, "next_by_subj": r.subject})
	if err != nil {
		return err
	}
	if err := r.conn.PublishRequest("$JS.API.DIRECT.GET."+r.stream, inbox.Subject, asked); err != nil {
		return err
	}
	r.pending = false
	for {
		message, err := inbox.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		switch status := message.Header.Get("Status"); status {
		case "":
			if err := r.take(message); err != nil {
				return err
			}
		case endOfPage, noMatch:
			return nil
		default:
			return fmt.Errorf("%s: %s %s", r.stream, status, message.Header.Get("Description"))
		}
	}
}

func (r *Reader) take(message *nats.Msg) error {
	told, err := stored(message)
	r.page = append(r.page, told)
	r.pending = message.Header.Get("Nats-Num-Pending") != "0"
	return err
}

func stored(message *nats.Msg) (Stored, error) {
	seq, err := strconv.ParseUint(message.Header.Get("Nats-Sequence"), 10, 64)
	return Stored{seq, message.Header.Get("Nats-Subject"), message.Header, message.Data}, err
}
