package scenarios

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	"foreign/wharfside"

	"github.com/nats-io/nats.go"
)

const trace = "0af7651916cd43dd8448eb211c80319c"

func TestStandards(t *testing.T) {
	w := enter(t)
	w.run("the trace goes through a command: into its answer and the events that it causes", (*world).traced)
	w.run("a live event has the headers of a CloudEvent", (*world).cloudy)
}

// traceOf is the trace of a W3C Trace Context; "" where there is none.
func traceOf(headers nats.Header) string {
	parts := strings.Split(headers.Get("traceparent"), "-")
	if len(parts) != 4 || parts[0] != "00" || len(parts[2]) != 16 {
		return ""
	}
	return parts[1]
}

func (w *world) traced() {
	name := newName()
	payload, err := wharfside.Encode(wharfside.Command{
		ID: wharfside.NewID(), Op: "run", Node: w.node, Args: w.container(name, "sleep 1000"),
	})
	ok(w, err)
	carried := nats.Header{"traceparent": {"00-" + trace + "-b7ad6b7169203331-01"}}
	result, headers, err := w.Raw(w.ctx, w.node, "run", payload, carried)
	ok(w, err)
	ok(w, result.Into(nil))
	equal(w, traceOf(headers), trace)
	events := w.until(name, 1, "started")
	equal(w, traceOf(events[len(events)-1].Headers), trace)
	w.remove(w.node, name)
}

func (w *world) cloudy() {
	name, _ := w.made("exit 3")
	events := w.until(name, 1, "exited")
	last := events[len(events)-1]
	id, err := url.PathUnescape(last.Headers.Get("ce-id"))
	ok(w, err)
	equal(w, id, last.Event.EventID)
	wanted := map[string]string{
		"ce-specversion": "1.0", "ce-type": "io.wharfside.container.exited", "ce-subject": name,
		"ce-source": "/wharfside/nodes/" + w.node, "ce-time": last.Event.OccurredAt,
		"ce-datacontenttype": "application/vnd.msgpack", "ce-sequence": strconv.FormatInt(last.Event.Seq, 10),
	}
	for header, value := range wanted {
		equal(w, last.Headers.Get(header), value, header)
	}
}
