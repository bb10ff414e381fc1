#include "tee/tdx/pck_extension.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string>

#include "tee/der.h"

namespace coffer::tdx {
namespace {

using tee::DerReader;
using tee::DerTag;

constexpr unsigned kPceSvnArc = 17;
constexpr unsigned kCpuSvnArc = 18;

std::unexpected<Error> bad(std::string_view oid, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("parse SGX extension: {}: {}", oid, why));
}

template <std::size_t N>
Status read_octets(DerReader& value, std::string_view oid, std::array<std::uint8_t, N>& out) {
  COFFER_TRY(const BytesView octets, value.expect(DerTag::kOctetString));
  if (octets.size() != N) return bad(oid, fmt::format("got {} bytes, want {}", octets.size(), N));
  std::ranges::copy(octets, out.begin());
  return {};
}

template <typename T>
Status read_number(DerReader& value, std::string_view oid, T& out, DerTag tag = DerTag::kInteger) {
  COFFER_TRY(const std::uint64_t number, value.unsigned_integer(tag));
  if (!std::in_range<T>(number)) return bad(oid, fmt::format("{} is out of range", number));
  out = static_cast<T>(number);
  return {};
}

// Calls `visit(arc, value)` for each {OID, value} of the sequence, where arc is what the OID has
// below `base`; each arc at most once. Returns how many there were.
template <typename Visit>
Result<std::size_t> each_member(DerReader sequence, std::string_view base, Visit visit) {
  std::set<unsigned> seen;
  while (!sequence.at_end()) {
    COFFER_TRY(DerReader pair, sequence.enter(DerTag::kSequence));
    COFFER_TRY(const std::string oid, pair.oid());
    unsigned arc = 0;
    if (oid.size() <= base.size() + 1 || !oid.starts_with(base) || oid[base.size()] != '.') {
      return bad(oid, fmt::format("want a member of {}", base));
    }
    const char* first = oid.data() + base.size() + 1;
    const char* last = oid.data() + oid.size();
    if (std::from_chars(first, last, arc).ptr != last) return bad(oid, "unknown member");
    if (!seen.insert(arc).second) return bad(oid, "stands twice");
    COFFER_TRY_VOID(visit(arc, std::string_view(oid), pair));
    COFFER_TRY_VOID(pair.expect_end());
  }
  return seen.size();
}

Status read_tcb(DerReader sequence, std::string_view base, PckExtension& out) {
  COFFER_TRY(const std::size_t count,
             each_member(sequence, base,
                         [&](unsigned arc, std::string_view oid, DerReader& value) -> Status {
                           if (arc >= 1 && arc <= out.components.size()) {
                             return read_number(value, oid, out.components[arc - 1]);
                           }
                           if (arc == kPceSvnArc) return read_number(value, oid, out.pce_svn);
                           if (arc == kCpuSvnArc) return read_octets(value, oid, out.cpu_svn);
                           return bad(oid, "unknown member");
                         }));
  if (count != kCpuSvnArc) return bad(base, fmt::format("got {} members, want 18", count));
  return {};
}

Status read_configuration(DerReader sequence, std::string_view base, PckExtension& out) {
  auto& configuration = out.configuration.emplace();
  const auto visit = [&](unsigned arc, std::string_view oid, DerReader& value) -> Status {
    COFFER_TRY(const bool flag, value.boolean());
    if (arc == 1) {
      configuration.dynamic_platform = flag;
    } else if (arc == 2) {
      configuration.cached_keys = flag;
    } else if (arc == 3) {
      configuration.smt_enabled = flag;
    } else {
      return bad(oid, "unknown member");
    }
    return {};
  };
  COFFER_TRY_VOID(each_member(sequence, base, visit));
  return {};
}

Status read_member(unsigned arc, std::string_view oid, DerReader& value, PckExtension& out) {
  switch (arc) {
    case 1:
      return read_octets(value, oid, out.ppid);
    case 2: {
      COFFER_TRY(const DerReader tcb, value.enter(DerTag::kSequence));
      return read_tcb(tcb, oid, out);
    }
    case 3:
      return read_octets(value, oid, out.pce_id);
    case 4:
      return read_octets(value, oid, out.fmspc);
    case 5:
      return read_number(value, oid, out.sgx_type, DerTag::kEnumerated);
    case 6:
      return read_octets(value, oid, out.platform_instance_id.emplace());
    case 7: {
      COFFER_TRY(const DerReader configuration, value.enter(DerTag::kSequence));
      return read_configuration(configuration, oid, out);
    }
    default:
      return bad(oid, "unknown member");
  }
}

}  // namespace

Result<PckExtension> parse_pck_extension(BytesView value) {
  DerReader reader(value, "SGX extension");
  PckExtension out;
  COFFER_TRY(const DerReader sequence, reader.enter(DerTag::kSequence));
  COFFER_TRY_VOID(reader.expect_end());
  unsigned required = 0;
  COFFER_TRY_VOID(each_member(sequence, kSgxExtensionOid,
                              [&](unsigned arc, std::string_view oid, DerReader& member) {
                                if (arc >= 1 && arc <= 5) ++required;
                                return read_member(arc, oid, member, out);
                              }));
  if (required != 5) {
    return bad(kSgxExtensionOid, "want PPID, TCB, PCEID, FMSPC and SGX type (.1 to .5)");
  }
  return out;
}

}  // namespace coffer::tdx
