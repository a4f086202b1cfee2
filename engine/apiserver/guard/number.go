package guard

import (
	"errors"
	"strings"
)

const (
	// longestNumber bounds the digits of a quantity, and exponentDigits those of its
	// exponent. What a quantity can hold ends at 19 digits and 10^18; the work of the
	// library grows with the square of the digits.
	longestNumber  = 200
	exponentDigits = 3
)

var (
	errDigits   = errors.New("a quantity has at most 200 digits")
	errExponent = errors.New("the exponent of a quantity is between -999 and 999")
)

// suspicious reports whether a body, in whatever format, may hold a quantity that
// checkQuantity refuses. It errs on the side of suspicion.
func suspicious(body []byte) bool {
	digits := 0
	for i, c := range body {
		switch {
		case isDigit(c) || c == '.':
			if digits++; digits > longestNumber {
				return true
			}
			continue
		case c == 'e' || c == 'E':
			// Inside a word there is no exponent, unless what looks like a letter
			// is the length of the text in protobuf.
			inWord := i > 0 && isLetter(body[i-1])
			if longExponent(body[i+1:], exponentDigits) && !inWord || longExponent(body[i+1:], 'A'-3) {
				return true
			}
		case c == '\\':
			if escapesNumber(body[i+1:]) {
				return true
			}
		}
		digits = 0
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// longExponent reports whether rest begins with more digits than most. Escapes that
// may hide some are suspicious by themselves.
func longExponent(rest []byte, most int) bool {
	if len(rest) > 0 && (rest[0] == '+' || rest[0] == '-') {
		rest = rest[1:]
	}
	for i, c := range rest {
		if !isDigit(c) {
			return false
		}
		if i == most {
			return true
		}
	}
	return false
}

// escapesNumber reports whether an escape stands for what nobody has to escape: a
// character of a number, or, in YAML, any in hexadecimal.
func escapesNumber(rest []byte) bool {
	if len(rest) == 0 {
		return false
	}
	switch rest[0] {
	case 'x', 'U', '\n', '\r':
		return true
	case 'u':
		if len(rest) < 5 {
			return true
		}
		switch code := strings.ToLower(string(rest[1:5])); code {
		case "0045", "0065", "002b", "002d", "002e":
			return true
		default:
			return strings.HasPrefix(code, "003") && isDigit(code[3])
		}
	}
	return false
}

// checkQuantity refuses text that would take long to be read as a quantity.
func checkQuantity(text string) error {
	mantissa := strings.TrimLeft(text, "+-")
	end := strings.IndexFunc(mantissa, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end < 0 {
		end = len(mantissa)
	}
	if end > longestNumber {
		return errDigits
	}
	exponent, ok := strings.CutPrefix(strings.ToLower(mantissa[end:]), "e")
	if !ok {
		return nil
	}
	exponent = strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(exponent, "+"), "-"), "0")
	for i := range len(exponent) {
		if !isDigit(exponent[i]) {
			return nil // no quantity
		}
		if i == exponentDigits {
			return errExponent
		}
	}
	return nil
}
