package wharfside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const defaultWindow = 512 << 10

// ErrOver means that the session was closed on this side.
var ErrOver = errors.New("the session is over")

// Reset is why a node ended a session, or that nothing was heard of it any more.
type Reset struct{ Reason *Error }

func (r *Reset) Error() string { return "the session was reset: " + r.Reason.Error() }

// Unwrap gives the node's own error.
func (r *Reset) Unwrap() error { return r.Reason }

// SessionView is what the node tells of an open session.
type SessionView struct {
	Window int64   `msgpack:"window"`
	Keeps  int64   `msgpack:"keeps"`
	IdleS  float64 `msgpack:"idle_s"`
}

// Session is a session of I/O: frames in order and once, both ways, by credits. One goroutine may read
// while another one writes.
type Session struct {
	View SessionView

	fleet  *Fleet
	node   string
	window int64
	up     string
	drop   func(Frame) bool
	sub    *nats.Subscription
	kick   chan struct{} // something is not acked anew
	done   chan struct{}

	mu       sync.Mutex
	in       inbound
	out      outbound
	heard    time.Time
	settling bool
	over     bool
	err      error
	changed  chan struct{} // closed at the next change
}

// SessionOptions are of this side. Drop loses frames, for tests.
type SessionOptions struct {
	Window int64
	Drop   func(Frame) bool
}

// Attach opens a session by op, such as attach, exec, logs, get-archive. args lack only `open`.
func (f *Fleet) Attach(ctx context.Context, node, op string, args Map, options SessionOptions) (*Session, error) {
	name := "s" + NewID()[:20]
	root := fmt.Sprintf("%s.io.%s.%s.%s", f.Prefix, node, f.Peer, name)
	s := &Session{
		fleet: f, node: node, window: options.Window, up: root + ".up", drop: options.Drop,
		kick: make(chan struct{}, 1), done: make(chan struct{}), changed: make(chan struct{}),
		in: inbound{asked: -1}, heard: time.Now(),
	}
	if s.window == 0 {
		s.window = defaultWindow
	}
	var err error
	if s.sub, err = f.Conn.Subscribe(root+".down", s.came); err != nil {
		return nil, err
	}
	if err := s.open(ctx, op, args, name); err != nil {
		s.finish(err)
		return nil, err
	}
	return s, nil
}

func (s *Session) open(ctx context.Context, op string, args Map, name string) error {
	asked := Map{"open": Map{"peer": s.fleet.Peer, "session": name, "window": s.window}}
	for key, value := range args {
		asked[key] = value
	}
	var value struct {
		Session SessionView `msgpack:"session"`
	}
	if err := s.fleet.Call(ctx, s.node, op, asked, &value); err != nil {
		return err
	}
	s.begin(value.Session)
	return nil
}

// begin: an ack may have come before the view.
func (s *Session) begin(view SessionView) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.View = view
	if s.out.window < view.Window {
		s.out.window = view.Window
	}
	if !s.over {
		s.fleet.keep(s)
		go s.mind(time.Duration(view.IdleS * float64(time.Second)))
	}
}

// Next gives the next frame of data, lost or exit. It returns io.EOF behind the last one, a *Reset,
// ErrOver after Close, or the error of ctx.
func (s *Session) Next(ctx context.Context) (Frame, error) {
	for {
		s.mu.Lock()
		frame, there := s.in.pop()
		if there {
			s.settle(frame.Kind == "eof")
		}
		over, err, changed := s.over, s.err, s.changed
		s.mu.Unlock()
		switch {
		case there && frame.Kind == "eof":
			s.finish(io.EOF)
			return frame, io.EOF
		case there:
			return frame, nil
		case over:
			return frame, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return frame, ctx.Err()
		}
	}
}

// Write sends data as fast as its credits allow; stream is `stdin`, or `archive`.
func (s *Session) Write(ctx context.Context, stream string, data []byte) error {
	for len(data) > 0 {
		piece := data
		if len(piece) > chunkBytes {
			piece = piece[:chunkBytes]
		}
		data = data[len(piece):]
		frame := Map{"frame": "data", "chunks": []Chunk{{stream, piece}}}
		if err := s.add(ctx, frame, int64(len(piece))+frameCost); err != nil {
			return err
		}
	}
	return nil
}

// EOF ends our data; the other direction goes on.
func (s *Session) EOF(ctx context.Context) error {
	return s.add(ctx, Map{"frame": "eof"}, frameCost)
}

// Resize tells the terminal's new size.
func (s *Session) Resize(ctx context.Context, rows, columns int) error {
	return s.add(ctx, Map{"frame": "resize", "rows": rows, "columns": columns}, frameCost)
}

// Signal sends the process a signal, by its name.
func (s *Session) Signal(ctx context.Context, name string) error {
	return s.add(ctx, Map{"frame": "signal", "signal": name}, frameCost)
}

// Close ends the session at once; the process stays as it is.
func (s *Session) Close() {
	s.mu.Lock()
	s.send(Map{"frame": "close"})
	s.mu.Unlock()
	s.finish(ErrOver)
}

func (s *Session) add(ctx context.Context, frame Map, cost int64) error {
	for {
		s.mu.Lock()
		over, err, changed := s.over, s.err, s.changed
		room := !over && s.out.room(frame["frame"] == "data")
		if room {
			err = s.place(frame, cost)
		}
		s.mu.Unlock()
		if room || over {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Session) place(frame Map, cost int64) error {
	payload, err := s.out.add(frame, cost)
	if err != nil {
		return err
	}
	if len(s.out.kept) == 1 {
		s.hurry()
	}
	return s.fleet.Conn.Publish(s.up, payload)
}
