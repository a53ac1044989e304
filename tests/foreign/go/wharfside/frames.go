package wharfside

const (
	frameCost  = 64
	chunkBytes = 32 << 10
	mostFrames = 1024
)

// Frame is what comes down in a session; which fields it has depends on Kind.
type Frame struct {
	Kind     string    `msgpack:"frame"`
	At       int64     `msgpack:"at"`
	Chunks   []Chunk   `msgpack:"chunks"`
	Position *Position `msgpack:"position"`
	Count    int64     `msgpack:"count"`
	Exit     *Exit     `msgpack:"exit"`
	Window   int64     `msgpack:"window"`
	Error    *Error    `msgpack:"error"`
}

// Chunk is a piece of one stream of the process, or of an archive.
type Chunk struct {
	Stream string `msgpack:"stream"`
	Data   []byte `msgpack:"data"`
}

// Position is where another session goes on in the log.
type Position struct {
	Run    int64 `msgpack:"run"`
	Offset int64 `msgpack:"offset"`
}

// placed are those that have a place; the others may be lost without harm.
var placed = map[string]bool{"data": true, "lost": true, "eof": true, "exit": true, "resize": true, "signal": true}

// cost is how far a frame moves the place of its direction.
func (f Frame) cost() int64 {
	if f.Kind != "data" {
		return frameCost
	}
	var sum int64
	for _, chunk := range f.Chunks {
		sum += int64(len(chunk.Data)) + frameCost
	}
	return sum
}

// inbound is the direction to us: frames in order and once.
type inbound struct {
	expected, taken, told, asked int64
	frames                       int
	waiting                      []Frame
}

// take tells whether something is missing that was not asked for yet.
func (in *inbound) take(frame Frame) (missing bool) {
	if frame.At == in.expected {
		in.expected += frame.cost()
		in.waiting = append(in.waiting, frame)
	}
	if frame.At <= in.expected || in.asked == in.expected {
		return false
	}
	in.asked = in.expected
	return true
}

func (in *inbound) pop() (Frame, bool) {
	if len(in.waiting) == 0 {
		return Frame{}, false
	}
	frame := in.waiting[0]
	in.waiting = in.waiting[1:]
	in.taken += frame.cost()
	in.frames++
	return frame, true
}

// due tells whether what was taken is worth an ack at once.
func (in *inbound) due(window int64) bool {
	return in.taken-in.told >= window/2 || in.frames >= mostFrames/4
}

// ack is the frame that says how much was taken.
func (in *inbound) ack(window int64) Map {
	in.told, in.frames = in.taken, 0
	return Map{"frame": "ack", "at": in.taken, "window": window}
}

// outbound is the direction to the node: what is not acked is kept, to be sent again.
type outbound struct {
	end, acked, window int64
	kept               []sent
}

type sent struct {
	at, end int64
	payload []byte
}

// room tells whether another frame may go.
func (out *outbound) room(data bool) bool {
	return len(out.kept) < mostFrames && (!data || out.end < out.acked+out.window)
}

// add gives the frame its place, and what is to be sent.
func (out *outbound) add(frame Map, cost int64) ([]byte, error) {
	frame["at"] = out.end
	payload, err := Encode(frame)
	if err == nil {
		out.kept = append(out.kept, sent{out.end, out.end + cost, payload})
		out.end += cost
	}
	return payload, err
}

// heed takes an ack; it tells whether that says anything new. An older one may come late.
func (out *outbound) heed(ack Frame) (more bool) {
	if ack.At < out.acked {
		return false
	}
	more = ack.At > out.acked
	out.acked, out.window = ack.At, ack.Window
	for len(out.kept) > 0 && out.kept[0].end <= ack.At {
		out.kept = out.kept[1:]
	}
	return more
}

// from is what is to be sent once more.
func (out *outbound) from(at int64) (payloads [][]byte) {
	for _, each := range out.kept {
		if each.at >= at {
			payloads = append(payloads, each.payload)
		}
	}
	return payloads
}
