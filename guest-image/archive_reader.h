// What the readers of archives share: ownership of a libarchive reader, its errors as ours, and one
// member's content within a bound.
#pragma once

#include <archive.h>

#include <memory>
#include <string>

#include "base/error.h"

namespace coffer::guest_image {

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};
using Archive = std::unique_ptr<archive, FreeArchive>;

[[nodiscard]] Error archive_error(archive* a, const std::string& what);

// The current member, at most `limit` bytes: a longer one is kResourceExhausted.
[[nodiscard]] Result<std::string> read_entry(archive* a, const std::string& what,
                                             std::size_t limit);

}  // namespace coffer::guest_image
