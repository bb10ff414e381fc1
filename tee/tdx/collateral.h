// Intel's signed statements about platforms: TCB info and QE identity. Parsing only; whether Intel
// signed them is asked in verify.h, over exactly the bytes that were parsed here.
//
// Format: Intel PCS API v4, "Get TDX TCB Info" and "Get TDX QE Identity" (TCB Info V3, Enclave
// Identity V2).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/utc_time.h"

namespace coffer::tdx {

// tcbStatus. The TD relaunch ones are never in a document; verification derives them.
enum class TcbStatus : std::uint8_t {
  kUpToDate,
  kSwHardeningNeeded,
  kConfigurationNeeded,
  kConfigurationAndSwHardeningNeeded,
  kOutOfDate,
  kOutOfDateConfigurationNeeded,
  kTdRelaunchAdvised,
  kTdRelaunchAdvisedConfigurationNeeded,
  kRevoked,
};

// "UpToDate", as Intel spells it.
[[nodiscard]] std::string_view tcb_status_name(TcbStatus status);
// kInvalidArgument on a string that is no status.
[[nodiscard]] Result<TcbStatus> parse_tcb_status(std::string_view name);

// What every level carries besides its numbers.
struct LevelInfo {
  TcbStatus status = TcbStatus::kRevoked;
  tee::UnixTime tcb_date = 0;
  std::vector<std::string> advisory_ids;
};

// A level of the platform's TCB (tcbLevels of the TCB info).
struct TcbLevel {
  std::array<std::uint8_t, 16> sgx_components{};  // sgxtcbcomponents
  std::uint16_t pce_svn = 0;                      // pcesvn
  std::array<std::uint8_t, 16> tdx_components{};  // tdxtcbcomponents
  LevelInfo info;
};

// A level of one enclave's or module's ISVSVN.
struct IsvLevel {
  std::uint16_t isv_svn = 0;
  LevelInfo info;
};

// tdxModule, and one of tdxModuleIdentities.
struct TdxModule {
  std::string id;  // "TDX_01"; empty for tdxModule
  std::array<std::uint8_t, 48> mr_signer{};
  std::array<std::uint8_t, 8> attributes{};
  std::array<std::uint8_t, 8> attributes_mask{};
  std::vector<IsvLevel> levels;  // highest first; empty for tdxModule
};

struct TcbInfo {
  std::string id;                 // "TDX"
  std::uint32_t version = 0;      // 3
  tee::UnixTime issue_date = 0;   // issueDate
  tee::UnixTime next_update = 0;  // nextUpdate
  std::array<std::uint8_t, 6> fmspc{};
  std::array<std::uint8_t, 2> pce_id{};
  std::uint32_t tcb_type = 0;
  std::uint32_t evaluation_number = 0;  // tcbEvaluationDataNumber
  TdxModule module;                     // tdxModule
  std::vector<TdxModule> identities;    // tdxModuleIdentities
  std::vector<TcbLevel> levels;         // highest first, whatever the order of the document
};

struct QeIdentity {
  std::string id;             // "TD_QE"
  std::uint32_t version = 0;  // 2
  tee::UnixTime issue_date = 0;
  tee::UnixTime next_update = 0;
  std::uint32_t evaluation_number = 0;
  std::array<std::uint8_t, 4> misc_select{};
  std::array<std::uint8_t, 4> misc_select_mask{};
  std::array<std::uint8_t, 16> attributes{};
  std::array<std::uint8_t, 16> attributes_mask{};
  std::array<std::uint8_t, 32> mr_signer{};
  std::uint16_t isv_prod_id = 0;
  std::vector<IsvLevel> levels;  // highest first
};

// A document, the bytes that the signature covers, and the signature.
template <typename T>
struct Signed {
  T value;
  std::string_view signed_text;              // points into the parsed text
  std::array<std::uint8_t, 64> signature{};  // r || s, ECDSA P-256 with SHA-256
};

// kInvalidArgument, naming the member, on: text that is no JSON, members that stand twice, a
// missing member, a number out of its range (an SVN is 0 to 255), fewer or more than 16 components,
// a status that is none, no level at all. Unknown members are ignored. At most 1 MiB. `text` must
// outlive the result.
[[nodiscard]] Result<Signed<TcbInfo>> parse_tcb_info(std::string_view text);
[[nodiscard]] Result<Signed<QeIdentity>> parse_qe_identity(std::string_view text);

}  // namespace coffer::tdx
