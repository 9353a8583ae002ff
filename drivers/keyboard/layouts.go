package keyboard

// A layout's rows run from the key left of 1, from Q, from A and from the key
// between left Shift and Z (named as on keyboards of the United States).
var rows = [4][]uint16{
	{KeyGrave, Key1, Key2, Key3, Key4, Key5, Key6, Key7, Key8, Key9, Key0, KeyMinus, KeyEqual},
	{KeyQ, KeyW, KeyE, KeyR, KeyT, KeyY, KeyU, KeyI, KeyO, KeyP, KeyLeftBrace, KeyRightBrace},
	{KeyA, KeyS, KeyD, KeyF, KeyG, KeyH, KeyJ, KeyK, KeyL, KeySemicolon, KeyApostrophe, KeyBackslash},
	{Key102nd, KeyZ, KeyX, KeyC, KeyV, KeyB, KeyN, KeyM, KeyComma, KeyDot, KeySlash},
}

// level is what the keys give with some of Shift and AltGr held.
type level struct {
	rows [4]string // a blank is a key that gives nothing
	dead string    // the characters that wait for a letter to stand on
}

// definition is a keyboard layout as Windows has it, since that is what
// scanners play a keyboard for. Where X.Org's layout (xkeyboard-config) has
// another sign of ASCII on a key, it is said; it has more of them with AltGr.
type definition struct {
	name       string
	plain      level
	shift      level
	altGr      level
	altGrShift level
	// lock is the keys, besides letters, to which Caps Lock is Shift.
	lock string
	// ctrlShift is pairs of a key's Shift character and the control character
	// that it gives with Ctrl and Shift, where the rule of control has it wrong.
	ctrlShift string
	decimal   rune // on the keypad
}

var definitions = [...]definition{
	US: { // X.Org has < and > on the key between left Shift and Z
		name: "us", decimal: '.',
		plain: level{rows: [4]string{"`1234567890-=", `qwertyuiop[]`, `asdfghjkl;'\`, `\zxcvbnm,./`}},
		shift: level{rows: [4]string{`~!@#$%^&*()_+`, `QWERTYUIOP{}`, `ASDFGHJKL:"|`, `|ZXCVBNM<>?`}},
	},
	UK: { // X.Org has | and not ¦ on AltGr with the key left of 1
		name: "uk", decimal: '.',
		plain:      level{rows: [4]string{"`1234567890-=", `qwertyuiop[]`, `asdfghjkl;'#`, `\zxcvbnm,./`}},
		shift:      level{rows: [4]string{`¬!"£$%^&*()_+`, `QWERTYUIOP{}`, `ASDFGHJKL:@~`, `|ZXCVBNM<>?`}},
		altGr:      level{rows: [4]string{`¦   €        `, `  é   úíó   `, `á          \`, `           `}},
		altGrShift: level{rows: [4]string{`             `, `  É   ÚÍÓ   `, `Á          |`, `           `}},
	},
	DE: { // X.Org locks letters only
		name: "de", decimal: ',', lock: `1234567890ß+#,.`,
		plain: level{rows: [4]string{`^1234567890ß´`, `qwertzuiopü+`, `asdfghjklöä#`, `<yxcvbnm,.-`}, dead: `^´`},
		shift: level{rows: [4]string{"°!\"§$%&/()=?`", `QWERTZUIOPÜ*`, `ASDFGHJKLÖÄ'`, `>YXCVBNM;:_`}, dead: "`"},
		altGr: level{rows: [4]string{`  ²³   {[]}\ `, `@ €        ~`, `            `, `|      µ   `}},
	},
	FR: { // X.Org locks letters only, its ~ and ` of AltGr are not dead, and there is ~ on Shift with the key left of 1
		name: "fr", decimal: '.', lock: `&é"'(-è_çà)=^$ù*,;:!`, ctrlShift: "5\x1b6\x1f8\x1c9\x1e",
		plain: level{rows: [4]string{`²&é"'(-è_çà)=`, `azertyuiop^$`, `qsdfghjklmù*`, `<wxcvbn,;:!`}, dead: `^`},
		shift: level{rows: [4]string{` 1234567890°+`, `AZERTYUIOP¨£`, `QSDFGHJKLM%µ`, `>WXCVBN?./§`}, dead: `¨`},
		altGr: level{rows: [4]string{"  ~#{[|`\\^@]}", `  €        ¤`, `            `, `           `}, dead: "~`"},
	},
	ES: { // X.Org's ~ of AltGr is not dead
		name: "es", decimal: '.',
		plain: level{rows: [4]string{`º1234567890'¡`, "qwertyuiop`+", `asdfghjklñ´ç`, `<zxcvbnm,.-`}, dead: "`´"},
		shift: level{rows: [4]string{`ª!"·$%&/()=?¿`, `QWERTYUIOP^*`, `ASDFGHJKLÑ¨Ç`, `>ZXCVBNM;:_`}, dead: `^¨`},
		altGr: level{rows: [4]string{`\|@#~€¬      `, `  €       []`, `          {}`, `           `}, dead: `~`},
	},
	IT: { // Windows has no ` and no ~: these are X.Org's
		name: "it", decimal: '.',
		plain:      level{rows: [4]string{`\1234567890'ì`, `qwertyuiopè+`, `asdfghjklòàù`, `<zxcvbnm,.-`}},
		shift:      level{rows: [4]string{`|!"£$%&/()=?^`, `QWERTYUIOPé*`, `ASDFGHJKLç°§`, `>ZXCVBNM;:_`}},
		altGr:      level{rows: [4]string{"     €     `~", `  €       []`, `         @# `, `           `}},
		altGrShift: level{rows: [4]string{`             `, `          {}`, `            `, `           `}},
	},
}

// accents are the letters that dead keys make: the dead key's own character,
// and pairs of the letter that is pressed and the one that comes.
var accents = [...]struct {
	dead  rune
	pairs string
}{
	{'^', `aâeêiîoôuûAÂEÊIÎOÔUÛ`},
	{'´', `aáeéiíoóuúyýAÁEÉIÍOÓUÚYÝ`},
	{'`', `aàeèiìoòuùAÀEÈIÌOÒUÙ`},
	{'¨', `aäeëiïoöuüyÿAÄEËIÏOÖUÜ`},
	{'~', `aãnñoõAÃNÑOÕ`},
}
