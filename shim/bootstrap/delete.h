// `delete`: containerd calls it when a shim is gone or never came up. It undoes what the shim had
// from the record under /run/kata, and answers as the Delete call would have.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "shim/bootstrap/options.h"
#include "shim/sandbox/leftovers.h"

namespace coffer::shim {

// Returns the serialized DeleteResponse (exit status 137). Problems of the clean-up go to
// stderr, one a line; they do not fail the call, since containerd would not try again.
[[nodiscard]] Result<std::string> delete_leftovers(const ShimOptions& options,
                                                   const std::filesystem::path& state_root,
                                                   const Undo& undo);

}  // namespace coffer::shim
