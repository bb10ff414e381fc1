// Mount options as fstab writes them, split into what mount(2) takes.
#pragma once

#include <span>
#include <string>

#include "base/error.h"

namespace coffer::agent {

struct MountOptions {
  unsigned long flags = 0;        // MS_*
  unsigned long propagation = 0;  // MS_SHARED, MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE, with MS_REC
  std::string data;               // what is left, joined by commas

  [[nodiscard]] bool is_bind() const;
};

// Later words win over earlier ones ("ro,rw" is rw). kInvalidArgument when `data` would not fit the
// page that the kernel gives it, or an option holds a NUL byte.
[[nodiscard]] Result<MountOptions> parse_mount_options(std::span<const std::string> options);

}  // namespace coffer::agent
