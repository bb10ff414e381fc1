// What an output's address stands for: containerd's fifo, a file, or a logger program.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace coffer::shim {

// Where an output goes. `fd` is not valid when it goes nowhere.
struct OutputTarget {
  Fd fd;
  bool pollable = false;  // fifos and pipes; a file never blocks
};

struct StdioAddress {
  enum class Kind { kNone, kFifo, kFile, kBinary, kBinaryV2 };
  Kind kind = Kind::kNone;
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;  // binary: decoded, in order

  bool operator==(const StdioAddress&) const = default;
};

// No scheme is a fifo's path. kInvalidArgument on an unknown scheme, an address without an absolute
// path, or a bad percent escape.
[[nodiscard]] Result<StdioAddress> parse_stdio_address(std::string_view text);

// fifo: opened for both directions, so that a reader's absence neither blocks nor loses anything.
// file: appended to, 0640, its folders made.
[[nodiscard]] Result<OutputTarget> open_output(const StdioAddress& address);

// Reading end, and a writing end that keeps it from ending.
struct StdinEnds {
  Fd reader, keeper;
};
[[nodiscard]] Result<StdinEnds> open_stdin(const std::string& path);

}  // namespace coffer::shim
