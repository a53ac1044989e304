package scenarios

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"foreign/wharfside"

	"github.com/nats-io/nats.go"
)

const mib = 1 << 20

func TestSessions(t *testing.T) {
	w := enter(t)
	w.run("attach: what goes in comes out, up to the end of the input", (*world).echoes)
	w.run("more than every window, both ways at once", (*world).overflows)
	w.run("frames that the bus loses are asked for again", (*world).losesFrames)
	w.run("a connection that is lost in between loses nothing of a session", (*world).losesConnections)
	w.run("exec with a terminal: its size, and a signal", (*world).terminal)
	w.run("logs: what was written before, then the end", (*world).logs)
	w.run("another session goes on behind the position that the last one had", (*world).goesOn)
	w.run("a second one takes the input; the first is told why", (*world).taken)
	w.run("close leaves the process as it is", (*world).closed)
}

var stdin = Map{"io": Map{"stdin": true}}

// attach opens a session by op on the first node, by the scenario's own connection.
func (w *world) attach(op string, args Map) *wharfside.Session {
	w.Helper()
	return w.attachBy(w.Fleet, op, args, wharfside.SessionOptions{})
}

func (w *world) attachBy(fleet *wharfside.Fleet, op string, args Map, options wharfside.SessionOptions) *wharfside.Session {
	w.Helper()
	session, err := fleet.Attach(w.ctx, w.node, op, args, options)
	ok(w, err)
	w.Cleanup(session.Close)
	return session
}

// came is what came down up to the end, of all streams.
type came struct {
	data []byte
	exit *wharfside.Exit
	err  error
}

func read(ctx context.Context, session *wharfside.Session) (all came) {
	for {
		frame, err := session.Next(ctx)
		switch {
		case err == io.EOF:
			return all
		case err == nil && frame.Kind == "lost":
			err = errors.New("output was lost")
		}
		if err != nil {
			all.err = err
			return all
		}
		for _, chunk := range frame.Chunks {
			all.data = append(all.data, chunk.Data...)
		}
		if frame.Exit != nil {
			all.exit = frame.Exit
		}
	}
}

func (w *world) rest(session *wharfside.Session) came {
	w.Helper()
	all := read(w.ctx, session)
	ok(w, all.err)
	return all
}

// comesBack writes all in four pieces, with something behind each, while it reads: it comes back the same.
func (w *world) comesBack(session *wharfside.Session, sent []byte, behind func()) {
	w.Helper()
	reading := make(chan came, 1)
	go func() { reading <- read(w.ctx, session) }()
	for i, piece := 0, len(sent)/4; i < 4; i++ {
		ok(w, session.Write(w.ctx, "stdin", sent[i*piece:(i+1)*piece]))
		behind()
	}
	ok(w, session.EOF(w.ctx))
	all := <-reading
	ok(w, all.err)
	that(w, bytes.Equal(all.data, sent), len(all.data), len(sent))
}

func (w *world) echoes() {
	name, _ := w.made("cat", stdin)
	session := w.attach("attach", Map{"container": name, "stdin": true})
	ok(w, session.Write(w.ctx, "stdin", []byte("grüße\n")))
	ok(w, session.EOF(w.ctx))
	all := w.rest(session)
	equal(w, []any{string(all.data), *all.exit.ExitCode}, []any{"grüße\n", int64(0)})
}

func (w *world) overflows() {
	name, _ := w.made("cat", stdin)
	args := Map{"container": name, "stdin": true}
	session := w.attachBy(w.Fleet, "attach", args, wharfside.SessionOptions{Window: 64 << 10})
	w.comesBack(session, bytes.Repeat([]byte("0123456789abcdef"), 3*mib/16), func() {})
}

// losesFrames: every third of those that come for the first time is lost.
func (w *world) losesFrames() {
	name, _ := w.made("cat", stdin)
	places := map[int64]bool{}
	drop := func(frame wharfside.Frame) bool {
		first := frame.Kind == "data" && !places[frame.At]
		places[frame.At] = places[frame.At] || first
		return first && len(places)%3 == 2
	}
	session := w.attachBy(w.Fleet, "attach", Map{"container": name, "stdin": true}, wharfside.SessionOptions{Drop: drop})
	w.comesBack(session, bytes.Repeat([]byte("in order, once.\n"), mib/2/16), func() {})
	that(w, len(places) > 2, places)
}

// cutter is a dialer whose last connection can be cut.
type cutter struct {
	dialed chan net.Conn
	last   net.Conn
}

// Dial is what the NATS client calls.
func (c *cutter) Dial(network, address string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, address, bound)
	if err == nil {
		c.dialed <- conn
	}
	return conn, err
}

// cut returns when the client dials again.
func (c *cutter) cut() {
	c.last.Close()
	c.last = <-c.dialed
}

func (w *world) losesConnections() {
	name, _ := w.made("cat", stdin)
	dialer := &cutter{dialed: make(chan net.Conn, 16)}
	own := w.open("ops", wharfside.Options{More: []nats.Option{nats.SetCustomDialer(dialer)}})
	dialer.last = <-dialer.dialed
	session := w.attachBy(own, "attach", Map{"container": name, "stdin": true}, wharfside.SessionOptions{})
	w.comesBack(session, bytes.Repeat([]byte("a new connection"), mib/16), dialer.cut)
}

// A terminal gets its size as soon as it is there: the process may have looked a moment before.
const sizes = `trap 'stty size; exit 9' USR1
until stty size 2>&1 | grep "24 81"; do sleep 0.05; done
echo ready; while :; do sleep 0.1; done`

func (w *world) terminal() {
	name, _ := w.made("cat", stdin)
	session := w.attach("exec", Map{
		"container": name, "process": Map{"args": []string{"/bin/sh", "-c", sizes}},
		"io": Map{"tty": true, "stdin": true}, "size": Map{"rows": 24, "columns": 81}, "wait": false,
	})
	var seen strings.Builder
	for !strings.Contains(seen.String(), "ready") {
		frame, err := session.Next(w.ctx)
		ok(w, err)
		for _, chunk := range frame.Chunks {
			seen.Write(chunk.Data)
		}
	}
	ok(w, session.Resize(w.ctx, 33, 99))
	ok(w, session.Signal(w.ctx, "USR1"))
	all := w.rest(session)
	seen.Write(all.data)
	that(w, strings.Contains(seen.String(), "24 81\r\n") && strings.Contains(string(all.data), "33 99\r\n"), seen.String())
	equal(w, *all.exit.ExitCode, int64(9))
}

func (w *world) logs() {
	name, _ := w.made("echo one; echo two")
	_, err := w.Wait(w.ctx, w.node, Map{"container": name})
	ok(w, err)
	equal(w, string(w.rest(w.attach("logs", Map{"container": name})).data), "one\ntwo\n")
}

// data is the next frame of it.
func (w *world) data(session *wharfside.Session) wharfside.Frame {
	w.Helper()
	for {
		frame, err := session.Next(w.ctx)
		ok(w, err)
		if frame.Kind == "data" {
			return frame
		}
	}
}

func (w *world) goesOn() {
	name, _ := w.made("cat", Map{"io": Map{"stdin": true, "stdin_once": false}})
	one := w.attach("attach", Map{"container": name, "stdin": true})
	ok(w, one.Write(w.ctx, "stdin", []byte("first\n")))
	position := w.data(one).Position
	one.Close()
	two := w.attach("attach", Map{"container": name, "stdin": true, "take": true, "position": position})
	ok(w, two.Write(w.ctx, "stdin", []byte("second\n")))
	equal(w, string(w.data(two).Chunks[0].Data), "second\n")
}

func (w *world) taken() {
	name, _ := w.made("cat", stdin)
	args := Map{"container": name, "stdin": true}
	one := w.attach("attach", args)
	_, err := w.Attach(w.ctx, w.node, "attach", args, wharfside.SessionOptions{})
	refused(w, "wrong-state", err)
	two := w.attach("attach", Map{"container": name, "stdin": true, "take": true})
	var reset *wharfside.Reset
	that(w, errors.As(read(w.ctx, one).err, &reset))
	ok(w, two.Write(w.ctx, "stdin", []byte("mine\n")))
	ok(w, two.EOF(w.ctx))
	equal(w, string(w.rest(two).data), "mine\n")
}

func (w *world) closed() {
	name, _ := w.made("cat", stdin)
	w.attach("attach", Map{"container": name, "stdin": true}).Close()
	w.isIn("running", name)
}
