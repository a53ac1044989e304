package scenarios

import (
	"testing"

	"foreign/wharfside"
)

func TestLife(t *testing.T) {
	w := enter(t)
	w.run("a container runs, ends, and tells how and what it said", (*world).runsAndEnds)
	w.run("each step of a life, and what is known of it on the way", (*world).steps)
	w.run("exec runs beside the container's own process", (*world).execs)
	w.run("the bucket has the state that the node tells", (*world).projected)
	w.run("the same id is the same command: a repeat gets the stored result", (*world).repeats)
	w.run("the same id for something else is a conflict", (*world).conflicts)
}

func (w *world) runsAndEnds() {
	name, made := w.made("echo grüße; exit 7")
	equal(w, made.Run, int64(1))
	ended, err := w.Wait(w.ctx, w.node, Map{"container": name, "output": true})
	ok(w, err)
	equal(w, []any{*ended.Exit.ExitCode, ended.Exit.Reason, ended.Exit.StatusKnown}, []any{int64(7), "self", true})
	equal(w, string(ended.Output.Stdout), "grüße\n")
}

func (w *world) steps() {
	name := newName()
	of := Map{"container": name}
	w.must(w.node, "create", w.container(name, "sleep 1000", Map{"labels": Map{"zone": "ö"}}), nil)
	w.isIn("created", name)
	w.must(w.node, "start", of, nil)
	w.must(w.node, "pause", of, nil)
	w.isIn("paused", name)
	w.must(w.node, "resume", of, nil)
	w.isIn("running", name)
	var listed struct {
		Containers []wharfside.State `msgpack:"containers"`
	}
	w.must(w.node, "list", Map{"labels": Map{"zone": "ö"}}, &listed)
	equal(w, len(listed.Containers), 1)
	equal(w, listed.Containers[0].Container, name)
	var figures struct {
		Stats struct {
			Pids struct {
				Current int64 `msgpack:"current"`
			} `msgpack:"pids"`
		} `msgpack:"stats"`
	}
	w.must(w.node, "stats", of, &figures)
	that(w, figures.Stats.Pids.Current >= 1, figures)
	var ended wharfside.Waited
	w.must(w.node, "stop", Map{"container": name, "grace_s": 0}, &ended)
	equal(w, ended.Exit.Reason, "stop")
	w.remove(w.node, name)
}

func (w *world) isIn(state, name string) {
	w.Helper()
	var told wharfside.State
	w.must(w.node, "inspect", Map{"container": name}, &told)
	equal(w, told.State, state)
}

func (w *world) execs() {
	name, _ := w.made("sleep 1000")
	process := Map{"args": []string{"/bin/sh", "-c", "echo in; echo out >&2; exit 3"}}
	var ended wharfside.Waited
	w.must(w.node, "exec", Map{"container": name, "process": process}, &ended)
	said := string(ended.Output.Stdout) + string(ended.Output.Stderr)
	equal(w, []any{*ended.Exit.ExitCode, said}, []any{int64(3), "in\nout\n"})
}

func (w *world) projected() {
	name, made := w.made("sleep 1000")
	running := func(p wharfside.Projection) bool { return p.State.State == "running" }
	kept, err := w.Projection(w.ctx, w.node, name, running)
	ok(w, err)
	equal(w, kept.Incarnation, made.Incarnation)
}

func (w *world) repeats() {
	name := newName()
	command := wharfside.Command{ID: wharfside.NewID(), Op: "run", Node: w.node, Args: w.container(name, "sleep 1000")}
	made, err := w.Request(w.ctx, command)
	ok(w, err)
	again, err := w.Request(w.ctx, command)
	ok(w, err)
	equal(w, []bool{made.OK, made.Replayed, again.OK, again.Replayed}, []bool{true, false, true, true})
	same(w, again, made)
	equal(w, again.Digest, made.Digest)
	var told struct {
		State  string           `msgpack:"state"`
		Result wharfside.Result `msgpack:"result"`
	}
	w.must(w.node, "result", Map{"command": command.ID}, &told)
	equal(w, told.State, "done")
	same(w, told.Result, made)
	w.remove(w.node, name)
}

func (w *world) conflicts() {
	name := newName()
	command := wharfside.Command{ID: wharfside.NewID(), Op: "run", Node: w.node, Args: w.container(name, "sleep 1000")}
	first, err := w.Request(w.ctx, command)
	ok(w, err)
	ok(w, first.Into(nil))
	command.Args = w.container(name, "sleep 7")
	second, err := w.Request(w.ctx, command)
	ok(w, err)
	refused(w, "conflict", second.Into(nil))
	w.remove(w.node, name)
}
