package vm

import "testing"

func TestSmoke(t *testing.T) {
	inGuest(t, func(g *guest) {
		t.Log(g.sh("id; uname -a; systemctl status posd.socket | cat; ls -la /usr/bin/posd"))
	})
}
