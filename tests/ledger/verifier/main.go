// Checks a log and a proof with Go's own golang.org/x/mod/sumdb: an implementation that nobody here wrote.
//
//	verifier log <folder> <vkey>          every leaf in the bundles is in the signed tree, by tiles; prefixes are consistent
//	verifier proof <vkey> <proof> <leaf>  a C2SP tlog-proof
package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type folder string

func (folder) Height() int                     { return 8 }
func (folder) SaveTiles([]tlog.Tile, [][]byte) {}
func (f folder) path(parts ...string) string {
	return filepath.Join(append([]string{string(f)}, parts...)...)
}
func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		body, err := os.ReadFile(f.path("tile", strconv.Itoa(tile.L), name(tile.N, tile.W)))
		if err != nil {
			return nil, err
		}
		found = append(found, body)
	}
	return found, nil
}

func name(n int64, w int) string {
	text := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		text = fmt.Sprintf("x%03d/%s", n%1000, text)
	}
	if w < 256 {
		text += fmt.Sprintf(".p/%d", w)
	}
	return text
}

func checkpoint(body []byte, vkey string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(body, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("not the checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func leaves(f folder, size int64) ([][]byte, error) {
	var found [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := size - n*256
		if width > 256 {
			width = 256
		}
		body, err := os.ReadFile(f.path("tile", "entries", name(n, int(width))))
		if err != nil {
			return nil, err
		}
		for len(body) >= 2 {
			end := 2 + int(binary.BigEndian.Uint16(body))
			if end > len(body) {
				return nil, errors.New("half a leaf")
			}
			found, body = append(found, body[2:end]), body[end:]
		}
	}
	if int64(len(found)) != size {
		return nil, fmt.Errorf("%d leaves, expected %d", len(found), size)
	}
	return found, nil
}

func checkLog(f folder, vkey string) error {
	body, err := os.ReadFile(f.path("checkpoint"))
	if err != nil {
		return err
	}
	tree, err := checkpoint(body, vkey)
	if err != nil {
		return err
	}
	all, err := leaves(f, tree.N)
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(tree, f)
	for index, leaf := range all {
		proof, err := tlog.ProveRecord(tree.N, int64(index), reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(index), tlog.RecordHash(leaf)); err != nil {
			return fmt.Errorf("leaf %d: %w", index, err)
		}
	}
	for size := int64(1); size < tree.N; size += 1 + tree.N/50 {
		before, err := tlog.TreeHash(size, reader)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(tree.N, size, reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, size, before); err != nil {
			return fmt.Errorf("size %d: %w", size, err)
		}
	}
	fmt.Printf("%d leaves\n", tree.N)
	return nil
}

func checkProof(vkey, proofFile, leafFile string) error {
	body, err := os.ReadFile(proofFile)
	if err != nil {
		return err
	}
	leaf, err := os.ReadFile(leafFile)
	if err != nil {
		return err
	}
	parts := strings.SplitN(string(body), "\n\n", 2)
	lines := strings.Split(parts[0], "\n")
	if len(parts) != 2 || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return errors.New("no tlog-proof")
	}
	index, err := strconv.ParseInt(lines[1][len("index "):], 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize {
			return errors.New("no hash")
		}
		proof = append(proof, *(*tlog.Hash)(hash))
	}
	tree, err := checkpoint([]byte(parts[1]), vkey)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaf))
}

func main() {
	err := errors.New("usage: verifier log <folder> <vkey> | verifier proof <vkey> <proof> <leaf>")
	if len(os.Args) == 4 && os.Args[1] == "log" {
		err = checkLog(folder(os.Args[2]), os.Args[3])
	} else if len(os.Args) == 5 && os.Args[1] == "proof" {
		err = checkProof(os.Args[2], os.Args[3], os.Args[4])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
