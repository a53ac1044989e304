package scenarios

import (
	"testing"

	"foreign/wharfside"
)

// A viewer's own connection and rights; what there is to see, the orchestrator has made.
func TestViewer(t *testing.T) {
	w := enter(t)
	v := *w
	v.Fleet = w.open("eyes", wharfside.Options{})
	name, made := w.made("echo seen")
	equal(t, len(v.until(name, 1, "exited")), 3)
	var listed struct {
		Containers []wharfside.State `msgpack:"containers"`
	}
	v.must(v.node, "list", Map{"all": true}, &listed)
	there := false
	for _, each := range listed.Containers {
		there = there || each.Incarnation == made.Incarnation
	}
	that(t, there, listed)
	_, err := v.Projection(v.ctx, v.node, name, nil)
	ok(t, err)
	states, err := v.Bucket(v.ctx, "WHARFSIDE_CONTAINERS", v.node+".>")
	ok(t, err)
	that(t, len(states[v.node+"."+name].Data) > 0, states)
	equal(t, string(v.rest(v.attach("logs", Map{"container": name})).data), "seen\n")
}
