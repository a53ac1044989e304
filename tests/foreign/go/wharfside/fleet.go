// Package wharfside is an orchestrator's side of the protocol, written from docs/protocol.md: commands,
// events, what streams and buckets keep, and I/O sessions. Every wait is bounded by a context.
package wharfside

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Options say where and as whom to connect. User is the name that `wharfside auth add-user` made: the
// inbox, the sessions and the durable consumer are its own. Credentials is its file, a seed (`.nk`) or
// a JWT with one (`.creds`). CA is whom to trust, with TLS. More goes to the NATS client as it is.
type Options struct {
	Servers     string
	User        string
	Credentials string
	CA          string
	Prefix      string
	More        []nats.Option
}

func (o Options) forNats() ([]nats.Option, error) {
	given := []nats.Option{
		nats.Name(o.User), nats.CustomInboxPrefix("_INBOX." + o.User),
		nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
	}
	if o.CA != "" {
		given = append(given, nats.RootCAs(o.CA))
	}
	switch {
	case strings.HasSuffix(o.Credentials, ".creds"):
		given = append(given, nats.UserCredentials(o.Credentials))
	case o.Credentials != "":
		seed, err := nats.NkeyOptionFromSeed(o.Credentials)
		if err != nil {
			return nil, fmt.Errorf("the credentials %s: %w", o.Credentials, err)
		}
		given = append(given, seed)
	}
	return append(given, o.More...), nil
}

// Fleet is one connection, for any number of goroutines.
type Fleet struct {
	Conn   *nats.Conn
	Peer   string
	Prefix string

	mu       sync.Mutex
	sessions map[*Session]struct{}
	asking   map[*asking]struct{}
}

// Open connects. The connection comes back by itself; Close ends it.
func Open(o Options) (*Fleet, error) {
	f := &Fleet{Peer: o.User, Prefix: o.Prefix, sessions: map[*Session]struct{}{}, asking: map[*asking]struct{}{}}
	if f.Prefix == "" {
		f.Prefix = "wharfside.v1"
	}
	given, err := o.forNats()
	if err != nil {
		return nil, err
	}
	given = append(given, nats.ReconnectHandler(f.reconnected), nats.ErrorHandler(f.failed))
	f.Conn, err = nats.Connect(o.Servers, given...)
	return f, err
}

// Close sends what is still to be sent, and ends the connection.
func (f *Fleet) Close() error { return f.Conn.Drain() }

func (f *Fleet) keep(session *Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions[session] = struct{}{}
}

func (f *Fleet) forget(session *Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sessions, session)
}

func (f *Fleet) reconnected(*nats.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for session := range f.sessions {
		go session.reconnected()
	}
}

// asking is a request on its way.
type asking struct {
	subject string
	cancel  context.CancelFunc
	denied  error
}

func (f *Fleet) began(asked *asking) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asking[asked] = struct{}{}
}

// ended tells why the server did not let it through, or nil.
func (f *Fleet) ended(asked *asking) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.asking, asked)
	return asked.denied
}

// failed hears what the server tells beside all answers, such as that a subject is not for this user:
// whoever asks there would wait in vain.
func (f *Fleet) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for each := range f.asking {
		if strings.Contains(err.Error(), fmt.Sprintf("Publish to %q", each.subject)) {
			each.denied = err
			each.cancel()
		}
	}
}
