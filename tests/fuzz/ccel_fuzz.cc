// Event logs are the guest's word, or the host's.
#include <cstddef>
#include <cstdint>

#include "tee/eventlog/ccel_table.h"
#include "tee/eventlog/json_log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer::eventlog;
  static_cast<void>(parse_ccel_table(coffer::BytesView(data, size)));
  const auto read = read_event_log(coffer::BytesView(data, size));
  if (!read) return 0;
  for (const Alg alg : read->log.algs) {
    static_cast<void>(replay(read->log, alg));
    static_cast<void>(anomalies(read->log, alg));
  }
  return 0;
}
