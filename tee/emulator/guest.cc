#include "tee/emulator/guest.h"

#include <cerrno>

namespace coffer::emulator {

OrErrno<Bytes> Guest::measurement(std::string_view /*name*/) const {
  return std::unexpected(ENOENT);
}

OrErrno<void> Guest::extend(std::string_view /*name*/, BytesView /*digest*/) {
  return std::unexpected(EACCES);
}

}  // namespace coffer::emulator
