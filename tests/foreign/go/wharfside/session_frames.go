package wharfside

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	settleIn  = 100 * time.Millisecond
	firstPing = 250 * time.Millisecond
)

func (s *Session) came(message *nats.Msg) {
	var frame Frame
	if err := Unmarshal(message.Data, &frame); err != nil {
		return // no frame: what is missing will be asked for
	}
	s.mu.Lock()
	s.heard = time.Now()
	ends := error(nil)
	switch {
	case s.over || s.drop != nil && s.drop(frame):
	case !placed[frame.Kind]:
		ends = s.heed(frame)
	case s.in.take(frame):
		s.again()
	}
	s.wake()
	s.mu.Unlock()
	if ends != nil {
		s.finish(ends)
	}
}

// heed tells why the session ends, or nil.
func (s *Session) heed(frame Frame) error {
	switch frame.Kind {
	case "ack":
		if s.out.heed(frame) && len(s.out.kept) > 0 {
			s.hurry()
		}
	case "again":
		for _, payload := range s.out.from(frame.At) {
			s.fleet.Conn.Publish(s.up, payload)
		}
	case "ping":
		if frame.At > s.in.expected {
			s.again()
		} else {
			s.ack()
		}
	case "reset":
		return &Reset{frame.Error}
	case "close":
		return ErrOver
	}
	return nil
}

// settle acks what was taken, now or a little later.
func (s *Session) settle(now bool) {
	window := s.window
	if s.View.Keeps > 0 && s.View.Keeps < window {
		window = s.View.Keeps
	}
	switch {
	case now || s.in.due(window):
		s.ack()
	case !s.settling:
		s.settling = true
		time.AfterFunc(settleIn, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.settling = false
			s.ack()
		})
	}
}

func (s *Session) ack()   { s.send(s.in.ack(s.window)) }
func (s *Session) again() { s.send(Map{"frame": "again", "at": s.in.expected}) }
func (s *Session) ping()  { s.send(Map{"frame": "ping", "at": s.out.end}) }

// send is for what has no place. What is lost of it does no harm.
func (s *Session) send(frame Map) {
	if s.over {
		return
	}
	if payload, err := Encode(frame); err == nil {
		s.fleet.Conn.Publish(s.up, payload)
	}
}

// mind pings, soon and then ever later while something is not acked, and ends what is silent.
func (s *Session) mind(idle time.Duration) {
	seldom := idle / 3
	pause := seldom
	for {
		timer := time.NewTimer(pause)
		select {
		case <-s.done:
			timer.Stop()
			return
		case <-s.kick:
			timer.Stop()
			pause = firstPing
			continue
		case <-timer.C:
		}
		if pause *= 2; pause > seldom {
			pause = seldom
		}
		if !s.alive(idle) {
			s.finish(&Reset{&Error{Code: "canceled", Message: fmt.Sprintf("nothing heard of %s for %v", s.node, idle)}})
		}
	}
}

func (s *Session) alive(idle time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ping()
	return time.Since(s.heard) <= idle
}

// reconnected: whatever was on its way may be lost, both ways.
func (s *Session) reconnected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ack()
	s.ping()
}

func (s *Session) hurry() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *Session) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// finish ends the session for this reason, unless it is over already.
func (s *Session) finish(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.over, s.err = true, why
	close(s.done)
	s.sub.Unsubscribe()
	s.fleet.forget(s)
	s.wake()
}
