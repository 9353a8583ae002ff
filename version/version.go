// Package version says which version of the software runs here, as it tells others.
package version

import "runtime/debug"

// Agent is what this program says in each request that it is: "posd/" and the
// version of the software, "devel" for one that was built without.
func Agent() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return "posd/" + info.Main.Version
	}
	return "posd/devel"
}
