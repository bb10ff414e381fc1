// What a guest measured after it booted: CoCo's "AAEL" entries, which continue the firmware's log.
//
// An entry is a TCG2 event (TCG PC Client Platform Firmware Profile rev 1.06, section 10.2.2) of
// type EV_EVENT_TAG whose data is u32 tag 0x4141454C, u32 length, "DOMAIN OPERATION CONTENT"; its
// digest is of all of that. Little endian.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/digest.h"

namespace coffer::evidence {

struct RuntimeEvent {
  std::string domain, operation;  // without blanks
  std::string content;            // none has line breaks
};
// kInvalidArgument, naming the part, when an event could be read as another one.
[[nodiscard]] Status check_event(const RuntimeEvent& event);

// In memory: the agent is the guest's first process, and its log dies with the registers.
class RuntimeLog {
 public:
  // The hash of the registers: SHA-384 on TDX, SHA-256 on a TPM.
  explicit RuntimeLog(tee::HashAlgorithm hash) : hash_(hash) {}

  // What the register is extended by.
  [[nodiscard]] Bytes digest(const RuntimeEvent& event) const;
  // kResourceExhausted past 1 MiB: ask before extending.
  [[nodiscard]] Status check_room(const RuntimeEvent& event) const;
  // After the register was extended. `index`: as the firmware's log counts (PCR; on TDX 1 is
  // RTMR0).
  void append(std::uint32_t index, const RuntimeEvent& event);
  // A register that another program of the guest extended with `digest`, of the log's hash: an
  // event of type EV_EVENT_TAG, whose tag is 0x434F4646 and whose text says what that is.
  void append_extended(std::uint32_t index, BytesView digest, std::string_view what);

  // The firmware's log up to its end marker (without one: a header of ours), our entries, eight
  // bytes of 0xFF. The firmware's log as it is when nothing was measured. kInvalidArgument when it
  // cannot be read.
  [[nodiscard]] Result<Bytes> continue_log(BytesView firmware_log) const;

 private:
  void append_entry(std::uint32_t index, BytesView digest, BytesView data);

  tee::HashAlgorithm hash_;
  Bytes entries_;
};

}  // namespace coffer::evidence
