package scenarios

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// toJSON is the JSON form of a payload: bytes in base64, without what is nil. Whole numbers are int64.
func toJSON(v any) any {
	switch v := v.(type) {
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case float64:
		if v == math.Trunc(v) {
			return int64(v)
		}
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = toJSON(item)
		}
		return list
	case Map:
		kept := Map{}
		for key, value := range v {
			if value != nil {
				kept[key] = toJSON(value)
			}
		}
		return kept
	}
	return v
}

// schemas is docs/protocol/schemas.json.
type schemas struct {
	Defs   Map `json:"$defs"`
	Ops    map[string]struct{ Args, Value Map }
	Events map[string]Map
}

func readSchemas(t testing.TB) (s schemas) {
	t.Helper()
	ok(t, json.Unmarshal(document(t, "docs/protocol/schemas.json"), &s))
	return s
}

// of is the schema of a record, or of what a $ref means.
func (s schemas) of(ref string) Map {
	return s.Defs[strings.TrimPrefix(ref, "#/$defs/")].(Map)
}

// payload is what a payload of this record is, from its JSON form: bytes are where the schema says so.
func (s schemas) payload(record string, form Map) Map {
	value := s.back(s.of(record), form).(Map)
	op, _ := form["op"].(string)
	kind, _ := form["type"].(string)
	switch record {
	case "Command":
		value["args"] = s.back(s.Ops[op].Args, form["args"])
	case "Result":
		value["value"] = s.back(s.Ops[op].Value, form["value"])
	case "Event":
		value["data"] = s.back(s.Events[kind], form["data"])
	}
	return value
}

func (s schemas) back(schema Map, form any) any {
	schema = s.resolved(schema)
	switch form := form.(type) {
	case string:
		if schema["contentEncoding"] == "base64" {
			data, err := base64.StdEncoding.DecodeString(form)
			if err != nil {
				return err // equal to nothing
			}
			return data
		}
	case float64:
		if form == math.Trunc(form) {
			return int64(form)
		}
	case []any:
		items, _ := schema["items"].(Map)
		list := make([]any, len(form))
		for i, item := range form {
			list[i] = s.back(items, item)
		}
		return list
	case Map:
		fields := Map{}
		for key, value := range form {
			fields[key] = s.back(field(schema, key), value)
		}
		return fields
	}
	return form
}

// resolved follows references, and takes what is not null of two.
func (s schemas) resolved(schema Map) Map {
	if ref, there := schema["$ref"].(string); there {
		return s.resolved(s.of(ref))
	}
	either, _ := schema["anyOf"].([]any)
	for _, each := range either {
		if each := each.(Map); each["type"] != "null" {
			return s.resolved(each)
		}
	}
	return schema
}

func field(schema Map, key string) Map {
	properties, _ := schema["properties"].(Map)
	if told, there := properties[key].(Map); there {
		return told
	}
	more, _ := schema["additionalProperties"].(Map)
	return more
}
