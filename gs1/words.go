package gs1

import (
	"fmt"
	"strings"
	"time"
)

// Words says what an element's data mean, where that is more than the characters
// say: a date, a time, an amount with its unit, a country, a coupon. It is empty
// for all else, and for data that are wrong. year is the present one: dates have
// two digits for theirs.
func (e Element) Words(year int) string {
	switch {
	case !e.good():
		return ""
	case e.AI == "8110":
		c, _ := ParseCoupon(e.Value)
		return c.words(year)
	case e.AI == "8112":
		o, _ := ParseOffer(e.Value)
		return fmt.Sprintf("offer %s of the company prefix %s, serial number %s", o.Offer, o.Funder, o.Serial)
	case len(e.AI) == 4 && e.AI >= "3100" && e.AI <= "3699":
		return strings.TrimSpace(decimal(amount(e.Value), number(e.AI[3:])) + " " + unit(e.Title))
	case strings.HasPrefix(e.AI, "39"):
		return e.money()
	}
	return e.components(year)
}

// unit gives what stands in parentheses in a title: NET WEIGHT (kg).
func unit(title string) string {
	from, to := strings.IndexByte(title, '('), strings.LastIndexByte(title, ')')
	if from < 0 || to < from {
		return ""
	}
	return title[from+1 : to]
}

// money says the amounts of AIs 390n to 395n.
func (e Element) money() string {
	decimals := number(e.AI[3:])
	switch e.AI[:3] {
	case "391", "393":
		return decimal(amount(e.Value[3:]), decimals) + " " + Currency(e.Value[:3])
	case "394":
		return decimal(amount(e.Value), decimals) + " %"
	}
	return decimal(amount(e.Value), decimals)
}

// components says the dates, times and countries among an element's data.
func (e Element) components(year int) string {
	var words []string
	rest := e.Value
	for _, c := range lookup(e.AI).parts {
		data := rest[:min(len(rest), int(c.most))]
		rest = rest[len(data):]
		switch last := len(words) - 1; {
		case data == "":
		case c.lint&(lintMi|lintSs) != 0:
			words[last] += ":" + data
		case c.lint&lintHh != 0:
			words = append(words, data)
		case c.lint&lintHhmi != 0:
			words = append(words, data[:2]+":"+data[2:])
		case c.lint&(lintYymmdd|lintYymmd0) != 0:
			words = append(words, date(century(number(data[:2]), year), data[2:]))
		case c.lint&lintYyyymmdd != 0:
			words = append(words, date(number(data[:4]), data[4:]))
		case c.lint&(lintIso3166|lintIso3166999) != 0 && Country(data) != "":
			words = append(words, Country(data))
		}
	}
	return strings.Join(words, " ")
}

// century gives the year that two digits mean: the one from 49 years back to 50
// years ahead (GS1 General Specifications 7.12).
func century(yy, year int) int {
	switch full := year - year%100 + yy; {
	case full-year >= 51:
		return full - 100
	case full-year <= -50:
		return full + 100
	default:
		return full
	}
}

// date says MMDD of a year. Day 00 is the month's last.
func date(year int, mmdd string) string {
	month, day := time.Month(number(mmdd[:2])), number(mmdd[2:])
	if day == 0 {
		day = daysOf(year, int(month))
	}
	return fmt.Sprintf("%d %s %d", day, month, year)
}

// words says a coupon. What codes stand for that the guideline gives only to
// those who buy it is left as it is.
func (c Coupon) words(year int) string {
	words := []string{"offer " + c.Offer + " of the company prefix " + c.Company}
	add := func(ok bool, format string, args ...any) {
		if ok {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	money := c.SaveCode == "" || c.SaveCode == "0"
	add(money, "saves %s", decimal(amount(c.SaveValue), 2))
	add(!money, "save value %s of code %s", c.SaveValue, c.SaveCode)
	for _, p := range c.Purchases {
		add(p.Requirement != "" && p.Code == "0", "to be bought: %s of family %s", p.Requirement, p.Family)
		add(p.Requirement != "" && p.Code != "0", "to be bought: %s of code %s, family %s", p.Requirement, p.Code, p.Family)
	}
	add(c.Starts != "", "from %s", couponDate(c.Starts, year))
	add(c.Expires != "", "until %s", couponDate(c.Expires, year))
	add(c.Serial != "", "serial number %s", c.Serial)
	add(c.Retailer != "", "at the retailer %s", c.Retailer)
	add(c.NoDouble == "1", "not to be multiplied")
	return strings.Join(words, ", ")
}

func couponDate(yymmdd string, year int) string {
	if yymmdd == "" {
		return ""
	}
	return date(century(number(yymmdd[:2]), year), yymmdd[2:])
}
