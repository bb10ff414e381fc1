#include "cli/launch/launch.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "attestation/initdata/disk.h"
#include "attestation/initdata/gzip.h"
#include "attestation/initdata/initdata.h"
#include "base/fd.h"
#include "base/json.h"
#include "cli/launch/emulated.h"
#include "cli/launch/tpm.h"
#include "cli/launch/vendor.h"

namespace coffer::launch {
namespace {

using Json = nlohmann::json;

std::unexpected<Error> bad(std::string_view key, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("launch request: '{}': {}", key, why));
}

Status take(const Json& value, std::string_view key, std::string& out) {
  if (!value.is_string()) return bad(key, "want a text");
  out = value.get<std::string>();
  return {};
}

Status take(const Json& value, std::string_view key, bool& out) {
  if (!value.is_boolean()) return bad(key, "want true or false");
  out = value.get<bool>();
  return {};
}

template <std::unsigned_integral Int>
Status take(const Json& value, std::string_view key, Int& out) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::numeric_limits<Int>::max())
    return bad(key, "want a number");
  out = value.get<Int>();
  return {};
}

Status take_member(const std::string& key, const Json& value, Request& out) {
  if (key == "tee") return take(value, key, out.tee);
  if (key == "emulated") return take(value, key, out.emulated);
  if (key == "initdata") return take(value, key, out.initdata);
  if (key == "disk") return take(value, key, out.disk);
  if (key == "guest") return take(value, key, out.guest);
  if (key == "tpm") return take(value, key, out.tpm);
  if (key == "ak_certificate") return take(value, key, out.ak_certificate);
  if (key == "vendor") return take(value, key, out.vendor);
  if (key == "firmware") return take(value, key, out.firmware);
  if (key == "kernel") return take(value, key, out.kernel);
  if (key == "initrd") return take(value, key, out.initrd);
  if (key == "append") return take(value, key, out.append);
  if (key == "vcpus") return take(value, key, out.vcpus);
  if (key == "memory_mib") return take(value, key, out.memory_mib);
  if (key == "policy") return take(value, key, out.policy);
  return bad(key, "no such member");
}

std::size_t field_size(std::string_view tee) {
  if (tee == "snp") return initdata::kSnpHostData;
  if (tee == "tdx") return initdata::kTdxConfigId;
  return 0;
}

Status take_initdata(const Request& request, Answer& out) {
  if (request.initdata.empty()) return {};
  COFFER_TRY(const Bytes packed, initdata::decode_annotation(request.initdata));
  if (packed.size() > initdata::kMaxPacked) {
    return fail(Code::kResourceExhausted,
                fmt::format("read initdata: more than {} bytes packed", initdata::kMaxPacked));
  }
  COFFER_TRY(const std::string text, initdata::gunzip(packed, initdata::kMaxText));
  COFFER_TRY(const initdata::Initdata parsed, initdata::parse(text));
  out.digest = initdata::digest(parsed.algorithm, text);
  if (const std::size_t size = field_size(request.tee); size != 0) {
    out.host_data = initdata::fit(out.digest, size);
  }
  if (request.disk.empty()) return bad("disk", "is needed with initdata");
  return write_file(request.disk, as_text(initdata::make_disk(packed)), 0600);
}

// A guest that its emulator plays, or that gets a software TPM: vendor, launch and all.
Status write_guest(const Request& request, Answer& out) {
  COFFER_TRY(const Json launch, emulated_launch(request, out.host_data));
  COFFER_TRY(Json pki, load_vendor(request.vendor, request.tee));
  out.launch = launch.dump();
  COFFER_TRY(const Json values, reference_values(request.tee, launch, pki));
  out.reference_values = values.dump();
  if (request.tee == "tpm") return request.tpm.empty() ? Status{} : make_tpm(request, pki);
  const Json guest{{"tee", request.tee}, {"pki", std::move(pki)}, {"launch", launch}};
  if (request.guest.empty()) return {};
  return write_file(request.guest, guest.dump(), 0600);
}

}  // namespace

Result<Request> parse_request(std::string_view json) {
  COFFER_TRY(const Json object, parse_json(json, "launch request"));
  if (!object.is_object()) return fail(Code::kInvalidArgument, "launch request: want an object");
  Request out;
  for (const auto& [key, value] : object.items()) COFFER_TRY_VOID(take_member(key, value, out));
  for (const std::string_view known : {"none", "snp", "tdx", "tpm", "sample"}) {
    if (out.tee == known) return out;
  }
  return bad("tee", "want none, snp, tdx, tpm or sample");
}

std::string to_json(const Answer& answer) {
  Json out{{"digest", to_hex(answer.digest)}, {"host_data", to_hex(answer.host_data)}};
  if (!answer.launch.empty()) out["launch"] = Json::parse(answer.launch);
  if (!answer.reference_values.empty()) {
    out["reference_values"] = Json::parse(answer.reference_values);
  }
  return out.dump();
}

Result<Answer> prepare(const Request& request) {
  Answer out;
  if (auto taken = take_initdata(request, out); !taken) return fail(std::move(taken).error());
  const bool launched = request.tee == "snp" || request.tee == "tdx" || request.tee == "tpm";
  if (request.emulated && launched) COFFER_TRY_VOID(write_guest(request, out));
  return out;
}

}  // namespace coffer::launch
