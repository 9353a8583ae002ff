package tid

var (
	none  []string
	zero  = []string{"0"}
	zero2 = []string{"00"}
)

// plans are the countries whose telephone numbers can be keyed in, by ISO 3166
// alpha-2 code.
var plans = map[string]plan{
	// North American Numbering Plan
	"AG": nanp, "BB": nanp, "BM": nanp, "BS": nanp, "CA": nanp, "DO": nanp, "GU": nanp, "JM": nanp,
	"KY": nanp, "PR": nanp, "TT": nanp, "US": nanp, "VI": nanp,

	// Europe
	"AD": {"376", zero2, none, 6, 9, ""},
	"AL": {"355", zero2, zero, 8, 9, ""},
	"AT": {"43", zero2, zero, 7, 13, ""},
	"BA": {"387", zero2, zero, 8, 9, ""},
	"BE": {"32", zero2, zero, 8, 9, ""},
	"BG": {"359", zero2, zero, 7, 9, ""},
	"BY": {"375", []string{"810"}, []string{"80", "8", "0"}, 9, 9, ""},
	"CH": {"41", zero2, zero, 9, 9, ""},
	"CY": {"357", zero2, none, 8, 8, ""},
	"CZ": {"420", zero2, none, 9, 9, ""},
	"DE": {"49", zero2, zero, 6, 11, ""},
	"DK": {"45", zero2, none, 8, 8, ""},
	"EE": {"372", zero2, none, 7, 8, ""},
	"ES": {"34", zero2, none, 9, 9, ""},
	"FI": {"358", []string{"00", "990", "994", "999"}, zero, 6, 10, ""},
	"FR": {"33", zero2, zero, 9, 9, ""},
	"GB": {"44", zero2, zero, 9, 10, ""},
	"GR": {"30", zero2, none, 10, 10, ""},
	"HR": {"385", zero2, zero, 8, 9, ""},
	"HU": {"36", zero2, []string{"06"}, 8, 9, ""},
	"IE": {"353", zero2, zero, 7, 9, ""},
	"IS": {"354", zero2, none, 7, 9, ""},
	"IT": {"39", zero2, none, 6, 11, italian},
	"LI": {"423", zero2, none, 7, 7, ""},
	"LT": {"370", zero2, []string{"0", "8"}, 8, 8, ""},
	"LU": {"352", zero2, none, 5, 9, ""},
	"LV": {"371", zero2, none, 8, 8, ""},
	"MD": {"373", zero2, zero, 8, 8, ""},
	"ME": {"382", zero2, zero, 8, 8, ""},
	"MK": {"389", zero2, zero, 8, 8, ""},
	"MT": {"356", zero2, none, 8, 8, ""},
	"NL": {"31", zero2, zero, 9, 9, ""},
	"NO": {"47", zero2, none, 8, 8, ""},
	"PL": {"48", zero2, none, 9, 9, ""},
	"PT": {"351", zero2, none, 9, 9, ""},
	"RO": {"40", zero2, zero, 9, 9, ""},
	"RS": {"381", zero2, zero, 8, 9, ""},
	"RU": {"7", []string{"810"}, []string{"8"}, 10, 10, ""},
	"SE": {"46", zero2, zero, 7, 9, ""},
	"SI": {"386", zero2, zero, 8, 8, ""},
	"SK": {"421", zero2, zero, 9, 9, ""},
	"UA": {"380", zero2, zero, 9, 9, ""},

	// Asia and Oceania
	"AE": {"971", zero2, zero, 8, 9, ""},
	"AU": {"61", []string{"0011"}, zero, 9, 9, ""},
	"CN": {"86", zero2, zero, 10, 11, ""},
	"HK": {"852", []string{"001", "002"}, none, 8, 8, ""},
	"ID": {"62", []string{"001", "007", "008"}, zero, 7, 12, ""},
	"IL": {"972", []string{"00", "012", "013", "014", "018", "019"}, zero, 8, 9, ""},
	"IN": {"91", zero2, zero, 10, 10, ""},
	"JP": {"81", []string{"010"}, zero, 9, 10, ""},
	"KR": {"82", []string{"001", "002", "005", "006", "008"}, zero, 8, 10, ""},
	"KZ": {"7", []string{"810"}, []string{"8"}, 10, 10, ""},
	"MY": {"60", zero2, zero, 8, 10, ""},
	"NZ": {"64", zero2, zero, 8, 10, ""},
	"PH": {"63", zero2, zero, 8, 10, ""},
	"PK": {"92", zero2, zero, 9, 10, ""},
	"QA": {"974", zero2, none, 8, 8, ""},
	"SA": {"966", zero2, zero, 8, 9, ""},
	"SG": {"65", []string{"001", "002", "008"}, none, 8, 8, ""},
	"TH": {"66", []string{"001", "005", "007", "008", "009"}, zero, 8, 9, ""},
	"TR": {"90", zero2, zero, 10, 10, ""},
	"TW": {"886", []string{"002", "005", "006", "007", "009"}, zero, 8, 9, ""},
	"VN": {"84", zero2, zero, 9, 10, ""},

	// Africa
	"EG": {"20", zero2, zero, 8, 10, ""},
	"GH": {"233", zero2, zero, 9, 9, ""},
	"KE": {"254", []string{"000"}, zero, 9, 9, ""},
	"MA": {"212", zero2, zero, 9, 9, ""},
	"NG": {"234", []string{"009"}, zero, 8, 10, ""},
	"TN": {"216", zero2, none, 8, 8, ""},
	"ZA": {"27", zero2, zero, 9, 9, ""},

	// Latin America
	"AR": {"54", zero2, zero, 10, 11, ""},
	"BR": {"55", zero2, zero, 10, 11, ""},
	"CL": {"56", zero2, none, 9, 9, ""},
	"CO": {"57", []string{"005", "007", "009", "00414", "00444", "00456"}, none, 10, 10, ""},
	"CR": {"506", zero2, none, 8, 8, ""},
	"EC": {"593", zero2, zero, 8, 9, ""},
	"MX": {"52", zero2, none, 10, 10, ""},
	"PA": {"507", zero2, none, 7, 8, ""},
	"PE": {"51", zero2, zero, 8, 9, ""},
	"UY": {"598", zero2, zero, 8, 8, ""},
	"VE": {"58", zero2, zero, 10, 10, ""},
}
