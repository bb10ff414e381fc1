#pragma once

#include <google/protobuf/stubs/logging.h>

namespace coffer {

// A message that does not parse is refused with an error; protobuf's own line on stderr for each of
// its fields would let whoever sends it fill a log or a console. To be called when a program
// starts.
inline void silence_protobuf() { google::protobuf::SetLogHandler(nullptr); }

}  // namespace coffer
