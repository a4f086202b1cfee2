package container

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

func deriveID(podUID, name string, attempt int) string {
	sum := sha256.Sum256([]byte(podUID + "\x00" + name + "\x00" + strconv.Itoa(attempt)))
	return hex.EncodeToString(sum[:])
}
