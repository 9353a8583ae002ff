package gs1

import (
	"errors"
	"fmt"
)

// ErrNotUPCE is a number of the right length that no UPC-E can hold.
var ErrNotUPCE = errors.New("no UPC-E")

// ExpandUPCE gives the 12 digits of the UPC-A that a UPC-E stands for. A UPC-E
// comes as 6 digits (number system 0 is implied), as 7 (number system 0 or 1
// before the six) or as 8 (check digit after them), as the scanner is set. The
// check digit is that of the UPC-A: verified if given, else computed.
//
// The last of the six says where the zeros were (GS1 General Specifications
// 5.2.2.4.2): after 0, 1 and 2 it is itself the third digit; after 3 the third
// digit is 3 to 9. The error is ErrLength, ErrCharset, ErrNotUPCE or a
// *CheckDigitError, wrapped.
func ExpandUPCE(digits string) (upca string, err error) {
	upca, err = expandUPCE(digits)
	if err != nil {
		return "", fmt.Errorf("read UPC-E: %w", err)
	}
	return upca, nil
}

func expandUPCE(digits string) (string, error) {
	if len(digits) < 6 || len(digits) > 8 {
		return "", fmt.Errorf("%w: %d, not 6, 7 or 8", ErrLength, len(digits))
	}
	if !IsDigits(digits) {
		return "", ErrCharset
	}
	system, six := byte('0'), digits
	if len(digits) > 6 {
		system, six = digits[0], digits[1:7]
	}
	if system > '1' {
		return "", fmt.Errorf("%w: the number system is %c, not 0 or 1", ErrNotUPCE, system)
	}
	if six[5] == '3' && six[2] < '3' {
		return "", fmt.Errorf("%w: the third digit is %c before a last digit of 3", ErrNotUPCE, six[2])
	}
	var a [12]byte
	a[0] = system
	insertZeros(a[1:11], six)
	a[11] = CheckDigit(string(a[:11]))
	if len(digits) == 8 && digits[7] != a[11] {
		return "", &CheckDigitError{digits[7], a[11]}
	}
	return string(a[:]), nil
}

// insertZeros writes the ten digits between number system and check digit.
func insertZeros(ten []byte, six string) {
	copy(ten, "0000000000")
	switch last := six[5]; last {
	case '0', '1', '2':
		copy(ten, six[:2])
		ten[2] = last
		copy(ten[7:], six[2:5])
	case '3':
		copy(ten, six[:3])
		copy(ten[8:], six[3:5])
	case '4':
		copy(ten, six[:4])
		ten[9] = six[4]
	default:
		copy(ten, six[:5])
		ten[9] = last
	}
}

// CompressUPCA gives the 8 digits of the UPC-E that stands for a UPC-A of 12
// digits. It is false if there is none, as too few of the digits are zeros, or
// if it is not a UPC-A with its right check digit. It undoes ExpandUPCE, save
// for the few UPC-E that could have been written shorter: those with 0 as the
// fourth digit before a last 4, or as the fifth before a last 5 to 9.
func CompressUPCA(upca string) (upce string, ok bool) {
	if len(upca) != 12 || upca[0] > '1' || VerifyCheckDigit(upca) != nil {
		return "", false
	}
	maker, item := upca[1:6], upca[6:11]
	var six string
	switch {
	case maker[2] <= '2' && maker[3:] == "00" && item[:2] == "00":
		six = maker[:2] + item[2:] + maker[2:3]
	case maker[3:] == "00" && item[:3] == "000":
		six = maker[:3] + item[3:] + "3"
	case maker[4] == '0' && item[:4] == "0000":
		six = maker[:4] + item[4:] + "4"
	case item[:4] == "0000" && item[4] >= '5':
		six = maker + item[4:]
	default:
		return "", false
	}
	return upca[:1] + six + upca[11:], true
}
