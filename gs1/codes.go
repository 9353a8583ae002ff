package gs1

import (
	"sort"
	"strings"
)

// Character sets (GS1 General Specifications figures 7.11-1 to 7.11-3), in the
// order of their characters' values.
const (
	cset82 = `!"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz`
	cset39 = `#-/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ`
	cset32 = `23456789ABCDEFGHJKLMNPQRSTUVWXYZ`
)

// checkSet holds data against a character set of the dictionary. It gives where
// the first wrong character is.
func checkSet(set byte, data string) (pos int, reason string) {
	if set == 'Z' { // base64url may be filled up
		data = strings.TrimSuffix(strings.TrimSuffix(data, "="), "=")
	}
	for i := range len(data) {
		c := data[i]
		if isDigit(c) {
			continue
		}
		switch {
		case set == 'N':
			return i, "its data may only be digits there"
		case set == 'X' && !in82(c),
			set == 'Y' && strings.IndexByte(cset39, c) < 0,
			set == 'Z' && c != '-' && c != '_' && !isAlnum(c):
			return i, "its data holds a character that GS1 does not allow there"
		}
	}
	return 0, ""
}

func in82(c byte) bool { return isAlnum(c) || strings.IndexByte(cset82, c) >= 0 }

// checkPair checks the two check characters of an alphanumeric key (GS1
// General Specifications 7.9.5): the values of the characters before them,
// weighted with the primes from the right, modulo 1021, as two characters of 32.
func checkPair(data string) (pos int, reason string) {
	if len(data) < 2 {
		return 0, "its data is too short for check characters"
	}
	body := data[:len(data)-2]
	sum, prime := 0, 1
	for i := len(body) - 1; i >= 0; i-- {
		prime = nextPrime(prime)
		sum += strings.IndexByte(cset82, body[i]) * prime
	}
	sum %= 1021
	if data[len(body)] != cset32[sum>>5] || data[len(body)+1] != cset32[sum&31] {
		return len(body), "its check characters are wrong"
	}
	return 0, ""
}

func nextPrime(n int) int {
search:
	for n++; ; n++ {
		for d := 2; d*d <= n; d++ {
			if n%d == 0 {
				continue search
			}
		}
		return n
	}
}

// countries are the countries of ISO 3166-1, three digits and two letters each,
// in the order of the digits.
const countries = "" +
	"004AF008AL010AQ012DZ016AS020AD024AO028AG031AZ032AR036AU040AT044BS048BH050BD051AM052BB056BE060BM064BT" +
	"068BO070BA072BW074BV076BR084BZ086IO090SB092VG096BN100BG104MM108BI112BY116KH120CM124CA132CV136KY140CF" +
	"144LK148TD152CL156CN158TW162CX166CC170CO174KM175YT178CG180CD184CK188CR191HR192CU196CY203CZ204BJ208DK" +
	"212DM214DO218EC222SV226GQ231ET232ER233EE234FO238FK239GS242FJ246FI248AX250FR254GF258PF260TF262DJ266GA" +
	"268GE270GM275PS276DE288GH292GI296KI300GR304GL308GD312GP316GU320GT324GN328GY332HT334HM336VA340HN344HK" +
	"348HU352IS356IN360ID364IR368IQ372IE376IL380IT384CI388JM392JP398KZ400JO404KE408KP410KR414KW417KG418LA" +
	"422LB426LS428LV430LR434LY438LI440LT442LU446MO450MG454MW458MY462MV466ML470MT474MQ478MR480MU484MX492MC" +
	"496MN498MD499ME500MS504MA508MZ512OM516NA520NR524NP528NL531CW533AW534SX535BQ540NC548VU554NZ558NI562NE" +
	"566NG570NU574NF578NO580MP581UM583FM584MH585PW586PK591PA598PG600PY604PE608PH612PN616PL620PT624GW626TL" +
	"630PR634QA638RE642RO643RU646RW652BL654SH659KN660AI662LC663MF666PM670VC674SM678ST682SA686SN688RS690SC" +
	"694SL702SG703SK704VN705SI706SO710ZA716ZW724ES728SS729SD732EH740SR744SJ748SZ752SE756CH760SY762TJ764TH" +
	"768TG772TK776TO780TT784AE788TN792TR795TM796TC798TV800UG804UA807MK818EG826GB831GG832JE833IM834TZ840US" +
	"850VI854BF858UY860UZ862VE876WF882WS887YE894ZM"

// currencies are those of ISO 4217, three digits and three letters each, in the
// order of the digits, as of 2026.
const currencies = "" +
	"008ALL012DZD032ARS036AUD044BSD048BHD050BDT051AMD052BBD060BMD064BTN068BOB072BWP084BZD090SBD096BND" +
	"104MMK108BIF116KHR124CAD132CVE136KYD144LKR152CLP156CNY170COP174KMF188CRC192CUP203CZK208DKK" +
	"214DOP222SVC230ETB232ERN238FKP242FJD262DJF270GMD292GIP320GTQ324GNF328GYD332HTG340HNL344HKD348HUF" +
	"352ISK356INR360IDR364IRR368IQD376ILS388JMD392JPY396XAD398KZT400JOD404KES408KPW410KRW414KWD417KGS418LAK" +
	"422LBP426LSL430LRD434LYD446MOP454MWK458MYR462MVR480MUR484MXN496MNT498MDL504MAD512OMR516NAD524NPR" +
	"532XCG533AWG548VUV554NZD558NIO566NGN578NOK586PKR590PAB598PGK600PYG604PEN608PHP634QAR643RUB646RWF" +
	"654SHP682SAR690SCR702SGD704VND706SOS710ZAR728SSP748SZL752SEK756CHF760SYP764THB776TOP780TTD" +
	"784AED788TND800UGX807MKD818EGP826GBP834TZS840USD858UYU860UZS882WST886YER901TWD924ZWG925SLE926VED927UYW" +
	"928VES929MRU930STN933BYN934TMT936GHS938SDG940UYI941RSD943MZN944AZN946RON947CHE948CHW" +
	"949TRY950XAF951XCD952XOF953XPF955XBA956XBB957XBC958XBD959XAU960XDR961XAG962XPT963XTS964XPD965XUA" +
	"967ZMW968SRD969MGA970COU971AFN972TJS973AOA976CDF977BAM978EUR979MXV980UAH981GEL984BOV985PLN" +
	"986BRL990CLF994XSU997USN999XXX"

// letters gives the letters of a code of three digits in a list whose entries
// have the given width; "" if it is not in it.
func letters(list string, width int, digits string) string {
	n := len(list) / width
	i := sort.Search(n, func(i int) bool { return list[i*width:i*width+3] >= digits })
	if i < n && list[i*width:i*width+3] == digits {
		return list[i*width+3 : (i+1)*width]
	}
	return ""
}

// Currency gives the letters of a currency of ISO 4217 by its three digits; ""
// if there is none.
func Currency(digits string) string { return letters(currencies, 6, digits) }

// Country gives the letters of a country of ISO 3166-1 by its three digits; ""
// if there is none.
func Country(digits string) string { return letters(countries, 5, digits) }

func isCountry(digits string) bool { return Country(digits) != "" }

func isCountry2(two string) bool {
	for i := 0; i < len(countries); i += 5 {
		if countries[i+3:i+5] == two {
			return true
		}
	}
	return false
}

// packages are the package types of UN/ECE recommendation 21 and GS1's
// PackageTypeCode, parted by spaces.
const packages = " 1A 1B 1D 1F 1G 1W 200 201 202 203 204 205 206 210 211 212 2C 3A 3H 43 44 4A 4B 4C 4D 4F 4G 4H 5H 5L 5M 6H 6P " +
	"7A 7B 8 8A 8B 8C 9 AA AB AC AD AF AG AH AI AJ AL AM AP APE AT AV B4 BB BC BD BE BF BG BGE BH BI BJ BK BL BM BME BN BO BP " +
	"BQ BR BRI BS BT BU BV BW BX BY BZ CA CB CBL CC CCE CD CE CF CG CH CI CJ CK CL CM CN CO CP CQ CR CS CT CU CV CW CX CY CZ " +
	"DA DB DC DG DH DI DJ DK DL DM DN DP DPE DR DS DT DU DV DW DX DY E1 E2 E3 EC ED EE EF EG EH EI EN FB FC FD FE FI FL FO FOB " +
	"FP FPE FR FT FW FX GB GI GL GR GU GY GZ HA HB HC HG HN HR IA IB IC ID IE IF IG IH IK IL IN IZ JB JC JG JR JT JY KG KI LAB " +
	"LE LG LT LU LV LZ MA MB MC ME MPE MR MS MT MW MX NA NE NF NG NS NT NU NV OA OB OC OD OE OF OK OPE OT OU P2 PA PAE PB PC PD " +
	"PE PF PG PH PI PJ PK PL PLP PN PO POP PP PPE PR PT PU PUE PV PX PY PZ QA QB QC QD QF QG QH QJ QK QL QM QN QP QQ QR QS RB1 " +
	"RB2 RB3 RCB RD RG RJ RK RL RO RT RZ S1 SA SB SC SD SE SEC SH SI SK SL SM SO SP SS ST STL SU SV SW SX SY SZ T1 TB TC TD TE " +
	"TEV TG THE TI TK TL TN TO TR TRE TS TT TTE TU TV TW TWE TY TZ UC UN UUE VA VG VI VK VL VN VO VP VQ VR VS VY WA WB WC WD WF " +
	"WG WH WJ WK WL WM WN WP WQ WR WRP WS WT WU WV WW WX WY WZ X11 X12 X15 X16 X17 X18 X19 X20 X3 XA XB XC XD XF XG XH XJ XK YA " +
	"YB YC YD YF YG YH YJ YK YL YM YN YP YQ YR YS YT YV YW YX YY YZ ZA ZB ZC ZD ZF ZG ZH ZJ ZK ZL ZM ZN ZP ZQ ZR ZS ZT ZU ZV ZW " +
	"ZX ZY ZZ "

func isPackage(code string) bool {
	for rest, ok := packages, true; ok; {
		var before string
		before, rest, ok = strings.Cut(rest, code)
		if ok && strings.HasSuffix(before, " ") && strings.HasPrefix(rest, " ") {
			return code != ""
		}
	}
	return false
}
