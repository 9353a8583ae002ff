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
	if a, ok := UPCAOf(digits); ok {
		return string(a[:]), nil
	}
	return "", fmt.Errorf("read UPC-E: %w", whyNoUPCE(digits))
}

// UPCAOf is ExpandUPCE without a reason: ok is false if there is no UPC-A. It
// allocates nothing.
func UPCAOf(upce string) (upca [12]byte, ok bool) {
	if len(upce) < 6 || len(upce) > 8 || !IsDigits(upce) {
		return upca, false
	}
	system, six := upceParts(upce)
	if system > '1' || six[5] == '3' && six[2] < '3' {
		return upca, false
	}
	upca[0] = system
	insertZeros(upca[1:11], six)
	upca[11] = CheckDigit(string(upca[:11]))
	return upca, len(upce) < 8 || upce[7] == upca[11]
}

// upceParts gives the number system, and the six digits behind it.
func upceParts(digits string) (system byte, six string) {
	if len(digits) == 6 {
		return '0', digits
	}
	return digits[0], digits[1:7]
}

// whyNoUPCE says why digits are no UPC-E.
func whyNoUPCE(digits string) error {
	if len(digits) < 6 || len(digits) > 8 {
		return fmt.Errorf("%w: %d, not 6, 7 or 8", ErrLength, len(digits))
	}
	if !IsDigits(digits) {
		return ErrCharset
	}
	system, six := upceParts(digits)
	if system > '1' {
		return fmt.Errorf("%w: the number system is %c, not 0 or 1", ErrNotUPCE, system)
	}
	if six[5] == '3' && six[2] < '3' {
		return fmt.Errorf("%w: the third digit is %c before a last digit of 3", ErrNotUPCE, six[2])
	}
	upca, _ := UPCAOf(digits)
	return &CheckDigitError{digits[7], upca[11]}
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
	six, ok := sixOf(upca)
	if !ok {
		return "", false
	}
	return upca[:1] + string(six[:]) + upca[11:], true
}

// HasUPCE reports whether CompressUPCA finds one. It allocates nothing.
func HasUPCE(upca string) bool {
	_, ok := sixOf(upca)
	return ok
}

func sixOf(upca string) (six [6]byte, ok bool) {
	if len(upca) != 12 || upca[0] > '1' || !IsDigits(upca) || CheckDigit(upca[:11]) != upca[11] {
		return six, false
	}
	maker, item := upca[1:6], upca[6:11]
	switch {
	case maker[2] <= '2' && maker[3:] == "00" && item[:2] == "00":
		copy(six[:], maker[:2])
		copy(six[2:], item[2:])
		six[5] = maker[2]
	case maker[3:] == "00" && item[:3] == "000":
		copy(six[:], maker[:3])
		copy(six[3:], item[3:])
		six[5] = '3'
	case maker[4] == '0' && item[:4] == "0000":
		copy(six[:], maker[:4])
		six[4], six[5] = item[4], '4'
	case item[:4] == "0000" && item[4] >= '5':
		copy(six[:], maker)
		six[5] = item[4]
	default:
		return six, false
	}
	return six, true
}
