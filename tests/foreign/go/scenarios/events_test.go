package scenarios

import (
	"io"
	"strings"
	"testing"

	"foreign/wharfside"
)

var life = []string{"created", "started", "exited", "deleted"}

func TestEvents(t *testing.T) {
	w := enter(t)
	w.run("follow by direct get, with the live events as the bell", (*world).followed)
	w.run("resume behind a sequence of the stream: nothing twice, nothing missed", (*world).resumed)
	w.run("a whole stream, page by page: in order, each once", (*world).paged)
	w.run("the durable consumer goes on where the last one acked", (*world).consumed)
	w.run("what is handed back comes again, the same", (*world).handedBack)
}

// live makes a container of this name, up to its end.
func (w *world) live(name string) {
	w.Helper()
	w.must(w.node, "run", w.container(name, "exit 5", Map{"auto_remove": true}), nil)
}

// until gives the events of a container from a place of the stream on, up to the first of this type.
func (w *world) until(name string, from uint64, last string) (seen []wharfside.Told) {
	w.Helper()
	feed, err := w.Follow(w.node+"."+name+".>", from)
	ok(w, err)
	defer feed.Close()
	return w.upTo(feed, last)
}

func (w *world) upTo(feed *wharfside.Feed, last string) (seen []wharfside.Told) {
	w.Helper()
	for {
		told, err := feed.Next(w.ctx)
		ok(w, err)
		seen = append(seen, told)
		if told.Event.Type == last {
			return seen
		}
	}
}

func types(events []wharfside.Told) (all []string) {
	for _, each := range events {
		all = append(all, each.Event.Type)
	}
	return all
}

func (w *world) followed() {
	name := newName()
	feed, err := w.Follow(w.node+"."+name+".>", 1)
	ok(w, err)
	defer feed.Close()
	w.live(name)
	seen := w.upTo(feed, "deleted")
	equal(w, types(seen), life)
	var end wharfside.Exit
	ok(w, wharfside.Unmarshal(seen[2].Event.Data, &end))
	equal(w, []any{*end.ExitCode, end.Reason, end.StatusKnown}, []any{int64(5), "self", true})
	for i, each := range seen[1:] {
		equal(w, *each.Event.PrevSeq, seen[i].Event.Seq)
	}
}

func (w *world) resumed() {
	name := newName()
	w.live(name)
	begun := w.until(name, 1, "started")
	rest := w.until(name, begun[len(begun)-1].Seq+1, "deleted")
	equal(w, types(append(begun, rest...)), life)
}

func (w *world) paged() {
	reader := w.Read("WHARFSIDE_EVT", w.Prefix+".evt.>", 1)
	var seqs []uint64
	for {
		each, err := reader.Next(w.ctx)
		if err == io.EOF {
			break
		}
		ok(w, err)
		that(w, len(seqs) == 0 || each.Seq > seqs[len(seqs)-1], seqs, each.Seq)
		seqs = append(seqs, each.Seq)
	}
	that(w, len(seqs) > 4, seqs)
}

func (w *world) consumed() {
	name := newName()
	w.live(name)
	var seen []wharfside.Told
	for _, last := range []string{"started", "deleted"} {
		for len(seen) == 0 || seen[len(seen)-1].Event.Type != last {
			given := w.pull()
			ok(w, given.Ack(w.ctx))
			if given.Event.Container == name {
				seen = append(seen, given.Told)
			}
		}
	}
	equal(w, types(seen), life)
}

func (w *world) pull() wharfside.Given {
	w.Helper()
	given, err := w.Pull(w.ctx)
	ok(w, err)
	return given
}

func (w *world) handedBack() {
	name := newName()
	w.live(name)
	var seen []string
	for len(seen) < 2 {
		given := w.pull()
		wanted := strings.HasSuffix(given.Subject, "."+name+".started")
		if wanted {
			seen = append(seen, given.Event.EventID)
		}
		if wanted && len(seen) == 1 {
			ok(w, given.Again())
		} else {
			ok(w, given.Ack(w.ctx))
		}
	}
	equal(w, seen[0], seen[1])
}
