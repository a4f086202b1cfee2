package containerd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// The pause program holds a pod's namespaces. As the first process of a shared
// PID namespace it must also reap orphans, so it ignores SIGCHLD (the kernel
// then reaps) and sleeps for ever. It is a static ELF file of a few hundred
// bytes, made here: no image, no registry, one resident page.

var pauseCode = map[string]struct {
	machine uint16
	code    []byte
}{
	"amd64": {62, []byte{
		0x6a, 0x00, // push 0            sa_mask
		0x6a, 0x00, // push 0            sa_restorer
		0x6a, 0x00, // push 0            sa_flags
		0x6a, 0x01, // push 1            SIG_IGN
		0x48, 0x89, 0xe6, // mov rsi, rsp
		0x6a, 0x11, 0x5f, // rdi = 17          SIGCHLD
		0x31, 0xd2, // xor edx, edx
		0x6a, 0x08, 0x41, 0x5a, // r10 = 8
		0x6a, 0x0d, 0x58, // rax = 13          rt_sigaction
		0x0f, 0x05, // syscall
		0x6a, 0x22, 0x58, // loop: rax = 34    pause
		0x0f, 0x05, // syscall
		0xeb, 0xf9, // jmp loop
	}},
	"arm64": {183, words(
		0xd10083ff,                                     // sub sp, sp, #32
		0xd2800029,                                     // x9 = 1            SIG_IGN
		0xa9007fe9,                                     // stp x9, xzr, [sp]
		0xa9017fff,                                     // stp xzr, xzr, [sp, #16]
		0xd2800220,                                     // x0 = 17           SIGCHLD
		0x910003e1,                                     // x1 = sp
		0xd2800002,                                     // x2 = 0
		0xd2800103,                                     // x3 = 8
		0xd28010c8,                                     // x8 = 134          rt_sigaction
		0xd4000001,                                     // svc 0
		0xd2800000,                                     // loop: x0 = 0
		0xd2800001, 0xd2800002, 0xd2800003, 0xd2800004, // x1..x4 = 0
		0xd2800928, // x8 = 73           ppoll
		0xd4000001, // svc 0
		0x17fffff9, // b loop
	)},
}

func words(w ...uint32) []byte {
	var b []byte
	for _, x := range w {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

// pauseELF wraps machine code into the smallest 64-bit ELF executable.
func pauseELF(arch string) ([]byte, error) {
	p, ok := pauseCode[arch]
	if !ok {
		return nil, fmt.Errorf("no pause program for %s", arch)
	}
	const base, headers = 0x400000, 64 + 56
	size := uint64(headers + len(p.code))
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	for _, field := range []any{
		uint16(2), p.machine, uint32(1), // executable, machine, version
		uint64(base + headers), uint64(64), uint64(0), // entry, program headers, sections
		uint32(0), uint16(64), uint16(56), uint16(1), uint16(64), uint16(0), uint16(0),
		uint32(1), uint32(5), // load, read and execute
		uint64(0), uint64(base), uint64(base), size, size, uint64(0x10000),
	} {
		// Writing fixed-size integers to a bytes.Buffer cannot fail.
		_ = binary.Write(&b, binary.LittleEndian, field)
	}
	b.Write(p.code)
	return b.Bytes(), nil
}

// installPause makes the root file system all sandboxes share, and returns it.
func installPause(dir string) (string, error) {
	elf, err := pauseELF(runtime.GOARCH)
	if err != nil {
		return "", err
	}
	root := filepath.Join(dir, "pause")
	for _, d := range []string{"proc", "dev"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return "", err
		}
	}
	path := filepath.Join(root, "pause")
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, elf) {
		return root, nil
	}
	// A running program cannot be written to, but it can be replaced.
	if err := os.WriteFile(path+".new", elf, 0o755); err != nil {
		return "", err
	}
	return root, os.Rename(path+".new", path)
}
