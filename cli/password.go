package cli

import (
	"strings"
	"unsafe"
)

// hidePasswords gives the arguments, and overwrites the passwords of URLs in the
// memory that ps reads them from. What a shell or a unit's file keeps is out of
// reach: a password belongs into a file.
func hidePasswords(args []string) []string {
	own := make([]string, len(args))
	for i, arg := range args {
		own[i] = strings.Clone(arg)
		from, to := password(arg)
		memory := unsafe.Slice(unsafe.StringData(arg), len(arg))
		for j := from; j < to; j++ {
			memory[j] = 'x'
		}
	}
	return own
}

// password says where in an argument the password of a URL stands.
func password(arg string) (from, to int) {
	scheme := strings.Index(arg, "://")
	if scheme < 0 {
		return 0, 0
	}
	begin := scheme + len("://")
	authority := arg[begin:]
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		authority = authority[:end]
	}
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return 0, 0
	}
	colon := strings.IndexByte(authority[:at], ':')
	if colon < 0 {
		return 0, 0
	}
	return begin + colon + 1, begin + at
}
