package wharfside

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

const (
	deepest   = 32
	mostExact = 1<<53 - 1
)

// Map is a payload, or a map within one, whose fields are not known beforehand. Its values are nil,
// bool, int64, float64, string, []byte, []any and Map.
type Map = map[string]any

// Encode gives v, a Map or a struct with tags of msgpack, as it travels. Keys of maps are sorted by
// their code points, whole numbers are in their shortest form.
func Encode(v any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := msgpack.NewEncoder(&buffer)
	encoder.UseCompactInts(true)
	encoder.SetSortMapKeys(true)
	err := encoder.Encode(v)
	return buffer.Bytes(), err
}

// Decode gives the map in data, or an error where it is no payload: docs/protocol.md's first words.
func Decode(data []byte) (Map, error) {
	reader := bytes.NewReader(data)
	value, err := walker{msgpack.NewDecoder(reader)}.value(0)
	if err != nil {
		return nil, fmt.Errorf("not a payload: %w", err)
	}
	if reader.Len() > 0 {
		return nil, fmt.Errorf("not a payload: %d bytes behind it", reader.Len())
	}
	if payload, ok := value.(Map); ok {
		return payload, nil
	}
	return nil, errors.New("not a payload: no map")
}

// Unmarshal decodes data into v, a pointer to a struct with tags of msgpack, and is as strict as Decode.
func Unmarshal(data []byte, v any) error {
	if _, err := Decode(data); err != nil {
		return err
	}
	decoder := msgpack.NewDecoder(bytes.NewReader(data))
	decoder.UseLooseInterfaceDecoding(true)
	return decoder.Decode(v)
}

// walker is stricter than the package below it, which takes bytes for text, the last of two equal
// keys, and anything behind the end.
type walker struct{ *msgpack.Decoder }

func (w walker) value(depth int) (any, error) {
	code, err := w.PeekCode()
	switch {
	case err != nil:
		return nil, err
	case depth > deepest:
		return nil, errors.New("nested too deep")
	case code == msgpcode.Nil:
		return nil, w.DecodeNil()
	case code == msgpcode.True || code == msgpcode.False:
		return w.DecodeBool()
	case msgpcode.IsString(code):
		return w.text()
	case msgpcode.IsBin(code):
		return w.DecodeBytes()
	case code == msgpcode.Float || code == msgpcode.Double:
		return w.float()
	case msgpcode.IsFixedArray(code) || code == msgpcode.Array16 || code == msgpcode.Array32:
		return w.list(depth)
	case msgpcode.IsFixedMap(code) || code == msgpcode.Map16 || code == msgpcode.Map32:
		return w.dict(depth)
	case msgpcode.IsFixedNum(code) || code >= msgpcode.Uint8 && code <= msgpcode.Int64:
		return w.integer(code)
	}
	return nil, fmt.Errorf("a byte of no meaning, or an extension: %#x", code)
}

func (w walker) text() (string, error) {
	text, err := w.DecodeString()
	if err == nil && !utf8.ValidString(text) {
		return "", errors.New("text that is not UTF-8")
	}
	return text, err
}

func (w walker) float() (float64, error) {
	number, err := w.DecodeFloat64()
	if err == nil && (math.IsNaN(number) || math.IsInf(number, 0)) {
		return 0, errors.New("no number")
	}
	return number, err
}

func (w walker) integer(code byte) (int64, error) {
	if code == msgpcode.Uint64 {
		number, err := w.DecodeUint64()
		if number > mostExact {
			return 0, errors.New("beyond 2^53 - 1")
		}
		return int64(number), err
	}
	number, err := w.DecodeInt64()
	if number > mostExact || number < -mostExact {
		return 0, errors.New("beyond 2^53 - 1")
	}
	return number, err
}

// list takes what is announced for nothing: it allocates for what has come.
func (w walker) list(depth int) ([]any, error) {
	length, err := w.DecodeArrayLen()
	list := []any{}
	for ; err == nil && length > 0; length-- {
		var item any
		if item, err = w.value(depth + 1); err == nil {
			list = append(list, item)
		}
	}
	return list, unexpected(err)
}

func (w walker) dict(depth int) (Map, error) {
	length, err := w.DecodeMapLen()
	dict := Map{}
	for ; err == nil && length > 0; length-- {
		var key string
		if key, err = w.key(dict); err == nil {
			dict[key], err = w.value(depth + 1)
		}
	}
	return dict, unexpected(err)
}

func (w walker) key(dict Map) (string, error) {
	if code, err := w.PeekCode(); err != nil || !msgpcode.IsString(code) {
		return "", errors.New("a key that is no text")
	}
	key, err := w.text()
	if _, there := dict[key]; there {
		return "", fmt.Errorf("the key %q twice", key)
	}
	return key, err
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
