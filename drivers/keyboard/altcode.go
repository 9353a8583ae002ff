package keyboard

// cp437 is the characters 128 to 255 of code page 437, IBM's, which Windows
// takes for a number that is keyed in with Alt and does not begin with 0.
const cp437 = `ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐` +
	`└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■` + "\u00a0"

// windows1252 is the characters 128 to 159 of code page 1252; a number that has
// none stands for itself. From 160 on, the page is that of Unicode.
const windows1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"

// altCode is the number that is keyed in on the keypad while Alt is held.
type altCode struct {
	digits int
	ansi   bool // it began with 0
	bad    bool // other keys came between
	number int
}

func (a *altCode) digit(d int) {
	a.ansi = a.ansi || a.digits == 0 && d == 0
	a.digits = min(a.digits+1, 9)
	a.number = min(a.number*10+d, 999)
}

// char gives the character of the number. Below 128 it is that of ASCII on
// either page, control characters too: for Alt+29 Windows shows an arrow, where a
// scanner means GS. Above 255, where programs differ, it is none.
func (a *altCode) char() (rune, bool) {
	switch {
	case a.number > 255:
		return 0, false
	case a.number < 128:
		return rune(a.number), true
	case !a.ansi:
		return nth(cp437, a.number-128), true
	case a.number < 160:
		return nth(windows1252, a.number-128), true
	}
	return rune(a.number), true
}

func nth(s string, n int) rune {
	for _, r := range s {
		if n == 0 {
			return r
		}
		n--
	}
	return 0
}
