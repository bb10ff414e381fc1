// Sealed secrets in mounted files, opened before the container starts.
//
// Which files: what a mount from the sandbox's share brings, when it is a file, or a Kubernetes
// volume (a directory with a link "..data", as kubelet's atomic writer makes it): then each file
// directly in it. CoCo's agent writes the plaintext beside the sealed file, into what may be the
// host's share; here it goes to a file in the guest's memory, which is mounted over the sealed one
// in the container. As with CoCo's, a sealed value that is updated later is not opened.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/loop.h"
#include "guest-agent/data_hub.h"

namespace grpc {
class Spec;
}

namespace coffer::agent {

[[nodiscard]] bool looks_sealed(std::string_view text);

struct SealedFile {
  // Below the mount, links followed: "..2024_01_01/password". Empty: the mount's source is the
  // file.
  std::string path;
  std::string name;  // for messages: as the container knows it, "password"
  std::string text;
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// The sealed files that a mount of `source` brings. Everything is resolved with `shared` as the
// root, and a volume's files with the volume as theirs: no link leads elsewhere. kResourceExhausted
// for a volume of more than 1024 entries, or a sealed text above 1 MiB.
[[nodiscard]] Result<std::vector<SealedFile>> find_sealed_files(
    const std::filesystem::path& shared, const std::filesystem::path& source);

// Opens all that the spec's mounts bring, into `folder` (made when needed), and changes the mounts
// so that the container sees them. Mounts from outside `shared`, and those of files that kubelet
// writes itself (hosts, resolv.conf, ...), are left alone. An error names the file.
[[nodiscard]] Task<Status> open_sealed_files(grpc::Spec& spec, std::filesystem::path shared,
                                             std::filesystem::path folder, const Unseal& unseal);

// Overwrites and removes what open_sealed_files() wrote.
void wipe_files(const std::filesystem::path& folder);
// The same of one file. All these lie in the guest's memory (tmpfs), where what is overwritten is
// gone.
void wipe_file(const std::filesystem::path& path);
// Overwrites a file's content with zeros, and then with `text`. kNotFound when there is none.
[[nodiscard]] Status overwrite_file(const std::filesystem::path& path, std::string_view text);

}  // namespace coffer::agent
