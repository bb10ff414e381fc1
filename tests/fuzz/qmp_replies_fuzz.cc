// QEMU's side of its monitor. Input: the stream, cut into pieces of a size the first byte gives.

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "shim/qemu/explain.h"
#include "shim/qemu/lines.h"
#include "shim/qemu/qmp.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer::shim;  // NOLINT(google-build-using-namespace): a fuzz target
  if (size == 0) return 0;
  const std::size_t step = std::size_t{data[0]} + 1;
  std::string_view stream = coffer::as_text({data + 1, size - 1});
  QmpLines lines;
  LineRing ring(1024);
  while (!stream.empty()) {
    const std::string_view piece = stream.substr(0, step);
    stream.remove_prefix(piece.size());
    ring.append(piece, nullptr);
    if (!lines.append(piece)) break;
    while (const auto line = lines.next()) {
      const auto message = parse_qmp_message(*line);
      if (message && message->type == QmpMessage::Type::kEvent) {
        coffer::check(!message->name.empty(), "an event without a name was accepted");
      }
    }
  }
  (void)explain_qemu(ring.copy());
  for (const auto& line : ring.lines()) (void)panic_of(line);
  return 0;
}
