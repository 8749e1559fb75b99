// Command modproxy puts modules of this tree into a folder that the go command can use
// as a module proxy, so that they can be required as if they were released:
//
//	modproxy FOLDER VERSION MODULE_DIR...
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("modproxy: ")
	if len(os.Args) < 4 {
		log.Fatal("usage: modproxy FOLDER VERSION MODULE_DIR...")
	}
	for _, dir := range os.Args[3:] {
		if err := add(os.Args[1], os.Args[2], dir); err != nil {
			log.Fatal(err)
		}
	}
}

func add(folder, version, dir string) error {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	parsed, err := modfile.Parse(filepath.Join(dir, "go.mod"), mod, nil)
	if err != nil {
		return err
	}
	m := module.Version{Path: parsed.Module.Mod.Path, Version: version}
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	versions := filepath.Join(folder, path, "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return err
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": time.Now().UTC()})
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": mod} {
		if err := os.WriteFile(filepath.Join(versions, name), text, 0o644); err != nil {
			return err
		}
	}
	archive, err := os.Create(filepath.Join(versions, version+".zip"))
	if err != nil {
		return err
	}
	if err := zip.CreateFromDir(archive, m, dir); err != nil {
		return err
	}
	return archive.Close()
}
