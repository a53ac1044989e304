package scenarios

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"
)

// fault is what of a payload's value does not fit its schema, or "". Of JSON Schema it knows what
// docs/protocol/schemas.json uses.
func (s schemas) fault(schema Map, v any) string {
	if ref, there := schema["$ref"].(string); there {
		return s.fault(s.of(ref), v)
	}
	if either, there := schema["anyOf"].([]any); there {
		return s.either(either, v)
	}
	if kind, there := schema["type"].(string); there && !isA(kind, schema, v) {
		return fmt.Sprintf("%v is no %s", v, kind)
	}
	if told, there := schema["enum"].([]any); there && !contains(told, v) {
		return fmt.Sprintf("%v is none of %v", v, told)
	}
	switch v := v.(type) {
	case string:
		return text(schema, v)
	case int64:
		return between(schema, "minimum", float64(v), "maximum")
	case float64:
		return between(schema, "minimum", v, "maximum")
	case []any:
		return s.items(schema, v)
	case Map:
		return s.fields(schema, v)
	}
	return ""
}

func (s schemas) either(either []any, v any) (fault string) {
	for _, each := range either {
		if fault = s.fault(each.(Map), v); fault == "" {
			return ""
		}
	}
	return fault
}

func isA(kind string, schema Map, v any) bool {
	encoded := schema["contentEncoding"] == "base64"
	switch v.(type) {
	case nil:
		return kind == "null"
	case bool:
		return kind == "boolean"
	case int64:
		return kind == "integer" || kind == "number"
	case float64:
		return kind == "number"
	case string:
		return kind == "string" && !encoded
	case []byte:
		return kind == "string" && encoded
	case []any:
		return kind == "array"
	}
	return kind == "object"
}

func contains(list []any, v any) bool {
	for _, each := range list {
		if reflect.DeepEqual(each, v) {
			return true
		}
	}
	return false
}

// expression is without the look ahead that other languages need: here `$` is the end of all.
func expression(pattern string) *regexp.Regexp {
	plain := strings.TrimSuffix(pattern, `(?!\n)`)
	known, there := expressions[plain]
	if !there {
		known = regexp.MustCompile(plain)
		expressions[plain] = known
	}
	return known
}

var expressions = map[string]*regexp.Regexp{}

func text(schema Map, v string) string {
	if pattern, there := schema["pattern"].(string); there {
		if !expression(pattern).MatchString(v) {
			return fmt.Sprintf("%q does not match %s", v, pattern)
		}
	}
	return between(schema, "minLength", float64(utf8.RuneCountInString(v)), "maxLength")
}

func between(schema Map, least string, v float64, most string) string {
	if bound, there := schema[least].(float64); there && v < bound {
		return fmt.Sprintf("%v is below %v", v, bound)
	}
	if bound, there := schema[most].(float64); there && v > bound {
		return fmt.Sprintf("%v is beyond %v", v, bound)
	}
	return ""
}

func (s schemas) items(schema Map, list []any) string {
	kind, _ := schema["items"].(Map)
	for _, item := range list {
		if fault := s.fault(kind, item); fault != "" {
			return fault
		}
	}
	return between(schema, "minItems", float64(len(list)), "maxItems")
}

func (s schemas) fields(schema Map, fields Map) string {
	required, _ := schema["required"].([]any)
	for _, key := range required {
		if _, there := fields[key.(string)]; !there {
			return fmt.Sprintf("%v is not there", key)
		}
	}
	names, _ := schema["propertyNames"].(Map)
	for key, value := range fields {
		if fault := s.fault(names, key) + s.fault(field(schema, key), value); fault != "" {
			return key + ": " + fault
		}
	}
	return between(schema, "", float64(len(fields)), "maxProperties")
}
