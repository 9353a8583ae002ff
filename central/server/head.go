package server

import (
	"bytes"
	"strings"

	"posd/traceparent"
)

// head is what matters of the head of a request.
type head struct {
	path   string // one of those that were asked for
	length int    // of the body
	agent  []byte // what the caller says it is; good as long as the head
	trace  traceparent.ID
	close  bool // the caller ends the connection with this request
}

// parseHead reads the head of a plain request, up to and without the empty line, as
// lanes send it: a POST to one of paths over HTTP/1.1 with a body of JSON whose length is given. It
// reports false for everything else, right or wrong: that is for package net/http. What
// it takes, net/http takes as the same.
func parseHead(b []byte, paths map[string]lookup) (h head, ok bool) {
	line, b, more := bytes.Cut(b, []byte("\r\n"))
	target, post := bytes.CutPrefix(line, []byte("POST "))
	target, http11 := bytes.CutSuffix(target, []byte(" HTTP/1.1"))
	one, known := paths[string(target)]
	if !post || !http11 || !known {
		return head{}, false
	}
	h = head{path: one.path, length: -1}
	host, json, traced := false, false, false
	for more {
		line, b, more = bytes.Cut(b, []byte("\r\n"))
		name, value, found := bytes.Cut(line, []byte(":"))
		value = bytes.Trim(value, " \t")
		if !found || !isToken(name) || !isPrintable(value) {
			return head{}, false
		}
		switch {
		case is(name, "content-length"):
			if h.length >= 0 {
				return head{}, false
			}
			h.length = decimal(value)
			if h.length < 0 {
				return head{}, false
			}
		case is(name, "content-type"):
			if json || string(value) != "application/json" {
				return head{}, false
			}
			json = true
		case is(name, "host"):
			if host || !isHost(value) {
				return head{}, false
			}
			host = true
		case is(name, "connection"):
			if !is(value, "keep-alive") && !is(value, "close") || h.close {
				return head{}, false
			}
			h.close = is(value, "close")
		case is(name, "user-agent"):
			h.agent = value
		case is(name, "traceparent"):
			if h.trace = traceparent.Parse(value); traced {
				h.trace = traceparent.ID{}
			}
			traced = true
		case is(name, "transfer-encoding"), is(name, "expect"), is(name, "upgrade"), is(name, "trailer"), is(name, "te"):
			return head{}, false
		}
	}
	return h, host && json && h.length >= 0
}

// is compares a name, or a value that has no case, with its lower-case form.
func is(b []byte, lower string) bool {
	return len(b) == len(lower) && (b[0]|0x20) == lower[0] && strings.EqualFold(string(b), lower)
}

func isToken(b []byte) bool {
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return len(b) > 0
}

func isPrintable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func isHost(b []byte) bool {
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return len(b) > 0
}

// decimal reads a number of at most six digits, -1 if it is none.
func decimal(b []byte) int {
	if len(b) == 0 || len(b) > 6 {
		return -1
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	return n
}
