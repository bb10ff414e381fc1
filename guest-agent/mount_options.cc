#include "guest-agent/mount_options.h"

#include <fmt/format.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace coffer::agent {
namespace {

constexpr std::size_t kMaxData = 4095;  // the kernel copies one page, NUL included

struct Word {
  std::string_view name;
  unsigned long set;
  unsigned long clear;
};

constexpr std::array kWords{
    Word{"defaults", 0, 0},
    Word{"ro", MS_RDONLY, 0},
    Word{"rw", 0, MS_RDONLY},
    Word{"nosuid", MS_NOSUID, 0},
    Word{"suid", 0, MS_NOSUID},
    Word{"nodev", MS_NODEV, 0},
    Word{"dev", 0, MS_NODEV},
    Word{"noexec", MS_NOEXEC, 0},
    Word{"exec", 0, MS_NOEXEC},
    Word{"sync", MS_SYNCHRONOUS, 0},
    Word{"async", 0, MS_SYNCHRONOUS},
    Word{"dirsync", MS_DIRSYNC, 0},
    Word{"remount", MS_REMOUNT, 0},
    Word{"mand", MS_MANDLOCK, 0},
    Word{"nomand", 0, MS_MANDLOCK},
    Word{"noatime", MS_NOATIME, 0},
    Word{"atime", 0, MS_NOATIME},
    Word{"nodiratime", MS_NODIRATIME, 0},
    Word{"diratime", 0, MS_NODIRATIME},
    Word{"relatime", MS_RELATIME, 0},
    Word{"norelatime", 0, MS_RELATIME},
    Word{"strictatime", MS_STRICTATIME, 0},
    Word{"nostrictatime", 0, MS_STRICTATIME},
    Word{"bind", MS_BIND, 0},
    Word{"rbind", MS_BIND | MS_REC, 0},
};

constexpr std::array kPropagation{
    Word{"shared", MS_SHARED, 0},         Word{"rshared", MS_SHARED | MS_REC, 0},
    Word{"slave", MS_SLAVE, 0},           Word{"rslave", MS_SLAVE | MS_REC, 0},
    Word{"private", MS_PRIVATE, 0},       Word{"rprivate", MS_PRIVATE | MS_REC, 0},
    Word{"unbindable", MS_UNBINDABLE, 0}, Word{"runbindable", MS_UNBINDABLE | MS_REC, 0},
};

}  // namespace

bool MountOptions::is_bind() const { return (flags & MS_BIND) != 0; }

Result<MountOptions> parse_mount_options(std::span<const std::string> options) {
  MountOptions out;
  for (const auto& option : options) {
    if (option.empty()) continue;
    if (option.find('\0') != std::string::npos)
      return fail(Code::kInvalidArgument, "read a mount option: it holds a NUL byte");
    if (const auto* word = std::ranges::find(kWords, option, &Word::name); word != kWords.end()) {
      out.flags = (out.flags & ~word->clear) | word->set;
      continue;
    }
    if (const auto* word = std::ranges::find(kPropagation, option, &Word::name);
        word != kPropagation.end()) {
      out.propagation = word->set;
      continue;
    }
    if (!out.data.empty()) out.data += ',';
    out.data += option;
  }
  if (out.data.size() > kMaxData)
    return fail(Code::kInvalidArgument,
                fmt::format("read mount options: {} bytes, at most {}", out.data.size(), kMaxData));
  return out;
}

}  // namespace coffer::agent
