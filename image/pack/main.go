// Makes a container image out of a folder, without a daemon: to a tar that `ctr images import`,
// `kind load image-archive`, `k3d image import` and `minikube image load` read, or to a registry.
// The same folder gives the same bytes.
package main

import (
	"archive/tar"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Labels collects repeated `-label key=value` flags.
type labels map[string]string

func (l labels) String() string { return fmt.Sprint(map[string]string(l)) }

func (l labels) Set(text string) error {
	key, value, found := strings.Cut(text, "=")
	if !found {
		return fmt.Errorf("%q is not key=value", text)
	}
	l[key] = value
	return nil
}

func main() {
	root := flag.String("root", "", "folder that becomes the image's file system")
	tag := flag.String("tag", "", "name of the image, such as localhost/example:1")
	user := flag.String("user", "65532:65532", "user and group that run the entrypoint")
	entrypoint := flag.String("entrypoint", "", "absolute path of the program to run (optional)")
	output := flag.String("output", "", "tar to write")
	push := flag.Bool("push", false, "push to the registry that the tag names, with the credentials of `docker login`")
	label := labels{}
	flag.Var(label, "label", "key=value, may be repeated")
	flag.Parse()

	config := v1.Config{User: *user, Labels: label, WorkingDir: "/", Env: []string{"PATH=/usr/local/bin:/usr/bin"}}
	if *entrypoint != "" {
		config.Entrypoint = []string{*entrypoint}
	}
	if err := pack(*root, *tag, config, *output, *push); err != nil {
		fmt.Fprintln(os.Stderr, "pack-image:", err)
		os.Exit(1)
	}
}

func pack(root, tag string, config v1.Config, output string, push bool) error {
	reference, err := name.NewTag(tag)
	if err != nil {
		return err
	}
	if output != "" {
		// Not compressed: a cluster on the same machine would only have to undo it.
		image, err := imageOf(root, config, gzip.NoCompression)
		if err != nil {
			return err
		}
		if err := tarball.WriteToFile(output, reference, image); err != nil {
			return err
		}
	}
	if push {
		image, err := imageOf(root, config, gzip.DefaultCompression)
		if err != nil {
			return err
		}
		return remote.Write(reference, image, remote.WithAuthFromKeychain(authn.DefaultKeychain))
	}
	return nil
}

func imageOf(root string, config v1.Config, compression int) (v1.Image, error) {
	layer, err := layerOf(root, compression)
	if err != nil {
		return nil, err
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: "amd64",
		OS:           "linux",
		Created:      v1.Time{Time: time.Unix(0, 0).UTC()},
		Config:       config,
		RootFS:       v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(image, layer)
}

// layerOf streams the folder, so that no image needs to fit into memory.
func layerOf(root string, compression int) (v1.Layer, error) {
	packed := func() (io.ReadCloser, error) {
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(packTo(writer, root)) }()
		return reader, nil
	}
	return tarball.LayerFromOpener(packed, tarball.WithCompressionLevel(compression))
}

// packTo writes the folder as root's, without times and in the order of the names.
func packTo(output io.Writer, root string) error {
	archive := tar.NewWriter(output)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		return add(archive, root, path, entry)
	})
	if err != nil {
		return err
	}
	return archive.Close()
}

func add(archive *tar.Writer, root, path string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	header, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	inImage, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	*header = tar.Header{Typeflag: header.Typeflag, Name: inImage, Mode: header.Mode, Size: header.Size}
	if err := archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(archive, file)
	return err
}
