package scenarios

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"foreign/wharfside"
)

// On the second node, which no other scenario works on.
func TestNodes(t *testing.T) {
	w := enter(t)
	w.run("drain: progress while it lasts, no new work, and undrain", (*world).drains)
	w.run("resync tells where the node stands, and how far its events are told", (*world).resyncs)
	w.run("shipped output is read from its stream", (*world).ships)
}

func (w *world) drains() {
	name := newName()
	w.must(w.other, "run", w.container(name, "sleep 1000", Map{"stop_signal": "KILL"}), nil)
	id := wharfside.NewID()
	told, err := w.Conn.SubscribeSync(w.Prefix + ".progress." + w.other + "." + id)
	ok(w, err)
	ok(w, w.Conn.Flush())
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	result, err := w.Request(ctx, wharfside.Command{ID: id, Op: "drain", Node: w.other, Args: Map{"timeout_s": 20}})
	ok(w, err)
	var value struct {
		Drained   bool  `msgpack:"drained"`
		LeftCount int64 `msgpack:"left_count"`
	}
	ok(w, result.Into(&value))
	that(w, value.Drained && value.LeftCount == 0, value)
	message, err := told.NextMsgWithContext(w.ctx)
	ok(w, err)
	progress, err := wharfside.Decode(message.Data)
	ok(w, err)
	equal(w, []any{progress["command"], progress["op"]}, []any{id, "drain"})
	refused(w, "draining", w.Call(w.ctx, w.other, "run", w.container(newName(), "true"), nil))
	var undrained struct {
		Was bool `msgpack:"was_draining"`
	}
	w.must(w.other, "undrain", nil, &undrained)
	that(w, undrained.Was)
	w.remove(w.other, name)
}

func (w *world) resyncs() {
	var value struct {
		Snapshot struct {
			PublishedThrough int64 `msgpack:"published_through"`
		} `msgpack:"snapshot"`
	}
	w.must(w.other, "resync", Map{}, &value)
	reader := w.Read("WHARFSIDE_EVT", w.Prefix+".evt."+w.other+".>", 1)
	// The stream keeps the order of a container, not that of a node.
	seen, last := map[int64]bool{}, int64(0)
	for {
		each, err := reader.Next(w.ctx)
		if err == io.EOF {
			break
		}
		ok(w, err)
		var event wharfside.Event
		ok(w, each.Into(&event))
		that(w, !seen[event.Seq], event)
		seen[event.Seq] = true
		if event.Seq > last {
			last = event.Seq
		}
	}
	that(w, value.Snapshot.PublishedThrough <= last, value, last)
}

func (w *world) ships() {
	name := newName()
	w.must(w.other, "run", w.container(name, "echo shipped", Map{"io": Map{"ship": true}}), nil)
	_, err := w.Wait(w.ctx, w.other, Map{"container": name})
	ok(w, err)
	subject := w.Prefix + ".log." + w.other + "." + name + ".init"
	var piece struct {
		Chunks []wharfside.Chunk `msgpack:"chunks"`
		Offset int64             `msgpack:"offset"`
	}
	for {
		last, err := w.Last(w.ctx, "WHARFSIDE_LOGS", subject)
		if errors.Is(err, wharfside.ErrNothing) && w.ctx.Err() == nil {
			continue
		}
		ok(w, err)
		ok(w, last.Into(&piece))
		break
	}
	equal(w, []any{string(piece.Chunks[0].Data), piece.Offset}, []any{"shipped\n", int64(0)})
	w.remove(w.other, name)
}
