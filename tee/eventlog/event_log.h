// TCG event logs: what firmware and loaders say they measured, shared by the CC event log (CCEL) of
// TDX and the event log of a TPM. A log is a claim of the host's or the guest's until its replay
// equals registers that hardware has signed; and the *data* of an event stays a claim even then,
// unless its digest is the hash of that data (see digest_matches_data).
//
// Formats: TCG PC Client Platform Firmware Profile, rev. 1.06: 10.2.1 (TCG_PCR_EVENT, SHA-1 only,
// "TCG 1.2"), 10.2.2 (TCG_PCR_EVENT2, crypto-agile), 10.4.5.1 (TCG_EfiSpecIDEvent). Little endian.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::eventlog {

// TPM_ALG_ID (TCG Algorithm Registry, table 3).
enum class Alg : std::uint16_t {
  kSha1 = 0x0004,
  kSha256 = 0x000b,
  kSha384 = 0x000c,
  kSha512 = 0x000d,
  kSm3 = 0x0012,
};

[[nodiscard]] std::string_view alg_name(Alg alg);
// Digest size in bytes; nullopt for an algorithm we do not know.
[[nodiscard]] std::optional<std::size_t> alg_size(Alg alg);
// "sha1", "sha256", ...
[[nodiscard]] std::optional<Alg> alg_from_name(std::string_view name);
// kUnimplemented when the crypto library lacks the algorithm.
[[nodiscard]] Result<Bytes> hash(Alg alg, BytesView data);
// H(value || digest): what an extend does to a register.
[[nodiscard]] Result<Bytes> extend(Alg alg, BytesView value, BytesView digest);

// Event types (10.4.1, table 27).
inline constexpr std::uint32_t kEvPostCode = 0x1;
inline constexpr std::uint32_t kEvNoAction = 0x3;
inline constexpr std::uint32_t kEvSeparator = 0x4;
inline constexpr std::uint32_t kEvAction = 0x5;
inline constexpr std::uint32_t kEvEventTag = 0x6;
inline constexpr std::uint32_t kEvSCrtmVersion = 0x8;
inline constexpr std::uint32_t kEvPlatformConfigFlags = 0xa;
inline constexpr std::uint32_t kEvIpl = 0xd;
inline constexpr std::uint32_t kEvNonhostInfo = 0x11;
// Not the TCG's: an application's event as dstack measures it (json_log.h).
inline constexpr std::uint32_t kEvDstack = 0x08000001;
inline constexpr std::uint32_t kEvEfiVariableDriverConfig = 0x80000001;
inline constexpr std::uint32_t kEvEfiVariableBoot = 0x80000002;
inline constexpr std::uint32_t kEvEfiBootServicesApplication = 0x80000003;
inline constexpr std::uint32_t kEvEfiGptEvent = 0x80000006;
inline constexpr std::uint32_t kEvEfiAction = 0x80000007;
inline constexpr std::uint32_t kEvEfiPlatformFirmwareBlob = 0x80000008;
inline constexpr std::uint32_t kEvEfiPlatformFirmwareBlob2 = 0x8000000a;
inline constexpr std::uint32_t kEvEfiHandoffTables2 = 0x8000000b;
inline constexpr std::uint32_t kEvEfiVariableBoot2 = 0x8000000c;
inline constexpr std::uint32_t kEvEfiVariableAuthority = 0x800000e0;

// "EV_SEPARATOR", or "0x12345678" for an unknown one.
[[nodiscard]] std::string event_type_name(std::uint32_t type);

struct Digest {
  Alg alg{};
  BytesView value;
};

// Views point into the parsed log.
struct Event {
  std::uint32_t index =
      0;  // PCR number; in a CCEL the measurement register index (0 MRTD, 1 RTMR0)
  std::uint32_t type = 0;
  std::vector<Digest> digests;
  BytesView data;
  bool data_known = true;  // false: the log's form left it out

  // The digest of one bank; empty when the event has none for it.
  [[nodiscard]] BytesView digest(Alg alg) const;
};

struct EventLog {
  bool crypto_agile = false;  // false: TCG 1.2, SHA-1 only
  std::vector<Alg> algs;      // banks of the log, in the order of its header
  std::vector<Event> events;  // the Spec ID event itself is not among them
  // StartupLocality (10.4.5.3), when an EV_NO_ACTION event of PCR 0 tells it.
  std::optional<std::uint8_t> startup_locality;
};

// Parses up to the end marker (index 0xffffffff, or an all-zero record), or the end of the bytes:
// logs come in padded areas. kInvalidArgument, with the event's number and offset, on a truncated
// record, on an algorithm that the header does not declare, or on sizes that do not add up; at most
// 65536 events. `bytes` must outlive the log.
[[nodiscard]] Result<EventLog> parse_event_log(BytesView bytes);

using Registers = std::map<std::uint32_t, Bytes>;

// What each register that occurs in the log must hold: zero (PCR 0: zero with the startup locality,
// when `apply_locality`; PCRs 17 to 22 as a static launch leaves them are not treated), extended by
// the digest of each event except EV_NO_ACTION. kFailedPrecondition when an event lacks a digest of
// this bank: such a log cannot account for the register.
[[nodiscard]] Result<Registers> replay(const EventLog& log, Alg alg, bool apply_locality = true);

// Whether the digest is that of the event's data as the type defines it: hash of the data for
// separators, actions, tags and variables; nullopt where the type's digest is of something that the
// log does not hold (an image, a firmware volume), or the log left the data out.
[[nodiscard]] std::optional<bool> digest_matches_data(const Event& event, Alg alg);

// What contradicts the order of a sane boot: a second separator in a register, one with foreign
// data (an error separator), a digest that is not that of its data. One sentence each.
[[nodiscard]] std::vector<std::string> anomalies(const EventLog& log, Alg alg);

}  // namespace coffer::eventlog
