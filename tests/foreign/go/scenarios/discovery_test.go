package scenarios

import (
	"context"
	"errors"
	"sort"
	"strings"
	"testing"
	"time"

	"foreign/wharfside"
)

func TestDiscovery(t *testing.T) {
	w := enter(t)
	w.run("NATS micro finds every node: ping, info, stats", (*world).found)
	w.run("info names the node's subject and its ops", (*world).described)
	w.run("stats count what was asked", (*world).counted)
	w.run("presence is read by direct get, whole or of one node", (*world).present)
	w.run("a viewer discovers, too", (*world).seen)
	w.run("a node that is not there answers nobody", func(w *world) {
		err := w.Call(w.ctx, "nowhere", "ping", nil, nil)
		that(w, errors.Is(err, wharfside.ErrNodeAway), err)
	})
	w.run("what is asked has an end, also without an answer", func(w *world) {
		ctx, cancel := context.WithTimeout(w.ctx, time.Millisecond)
		defer cancel()
		err := w.Call(ctx, w.node, "wait", Map{"container": "nobody"}, nil)
		that(w, err != nil)
	})
}

// services asks again, as long as a node is missing: on a busy machine one may take longer than is
// waited for one more.
func (w *world) services(fleet *wharfside.Fleet, verb string) []wharfside.Service {
	w.Helper()
	for {
		answers, err := fleet.Services(w.ctx, verb)
		ok(w, err)
		if len(answers) >= len(w.site.Nodes) {
			return answers
		}
	}
}

// service is the first node's answer.
func (w *world) service(verb string) wharfside.Service {
	w.Helper()
	for _, each := range w.services(w.Fleet, verb) {
		if each.Metadata["node"] == w.node {
			return each
		}
	}
	w.Fatalf("%s does not answer %s", w.node, verb)
	return wharfside.Service{}
}

func (w *world) found() {
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		var nodes []string
		for _, each := range w.services(w.Fleet, verb) {
			nodes = append(nodes, each.Metadata["node"])
			equal(w, each.Type, "io.nats.micro.v1."+strings.ToLower(verb)+"_response")
		}
		sort.Strings(nodes)
		equal(w, nodes, w.site.Nodes)
	}
}

func (w *world) described() {
	endpoint := w.service("INFO").Endpoints[0]
	equal(w, endpoint.Subject, w.Prefix+".rpc."+w.node+".*")
	that(w, strings.Contains(","+endpoint.Metadata["ops"]+",", ",run,"), endpoint)
}

func (w *world) counted() {
	before := w.service("STATS").Endpoints[0].NumRequests
	w.must(w.node, "ping", nil, nil)
	that(w, w.service("STATS").Endpoints[0].NumRequests > before)
}

func (w *world) present() {
	nodes, err := w.Presences(w.ctx)
	ok(w, err)
	for _, name := range w.site.Nodes {
		equal(w, nodes[name].State, "up", name)
	}
	last, err := w.Last(w.ctx, "KV_WHARFSIDE_NODES", "$KV.WHARFSIDE_NODES."+w.node)
	ok(w, err)
	var kept, told wharfside.NodeInfo
	ok(w, last.Into(&kept))
	w.must(w.node, "info", nil, &told)
	equal(w, kept.NodeID+kept.BootID, told.NodeID+told.BootID)
}

func (w *world) seen() {
	eyes := w.open("eyes", wharfside.Options{})
	equal(w, len(w.services(eyes, "PING")), len(w.site.Nodes))
	ok(w, eyes.Call(w.ctx, w.node, "ping", nil, nil))
}
