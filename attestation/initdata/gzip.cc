#include "attestation/initdata/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>

namespace coffer::initdata {
namespace {

constexpr int kGzipWindow = 15 + 16;  // zlib.h: 16 asks for gzip's frame
constexpr int kMemoryLevel = 8;
// RFC 1952, 2.3.1: OS, which zlib fills in by the platform it was built for.
constexpr std::size_t kOsByte = 9;
constexpr std::uint8_t kUnknownOs = 255;

struct Inflater {
  z_stream stream{};
  Inflater() { check(inflateInit2(&stream, kGzipWindow) == Z_OK, "zlib: out of memory"); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream); }
};

std::unexpected<Error> damaged(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("unpack gzip: {}", why));
}

}  // namespace

Bytes gzip(std::string_view text) {
  z_stream stream{};
  check(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzipWindow, kMemoryLevel,
                     Z_DEFAULT_STRATEGY) == Z_OK,
        "zlib: out of memory");
  Bytes out(deflateBound(&stream, text.size()));
  Bytes in = to_bytes(text);
  stream.next_in = in.data();
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  check(result == Z_STREAM_END, "zlib: deflateBound was too small");
  out.at(kOsByte) = kUnknownOs;
  return out;
}

Result<std::string> gunzip(BytesView bytes, std::size_t limit) {
  if (bytes.empty()) return damaged("there is nothing");
  if (bytes.size() > std::size_t{1} << 30U) return damaged("too large");
  Inflater inflater;
  z_stream& stream = inflater.stream;
  Bytes in(bytes.begin(), bytes.end());
  stream.next_in = in.data();
  stream.avail_in = static_cast<uInt>(in.size());
  std::string out;
  std::array<std::uint8_t, std::size_t{32} << 10U> buffer{};
  for (int result = Z_OK; result != Z_STREAM_END;) {
    stream.next_out = buffer.data();
    stream.avail_out = static_cast<uInt>(buffer.size());
    result = inflate(&stream, Z_NO_FLUSH);
    const std::size_t got = buffer.size() - stream.avail_out;
    if (result != Z_OK && result != Z_STREAM_END) {
      if (result == Z_BUF_ERROR) return damaged("it ends too early");
      return damaged(stream.msg != nullptr ? stream.msg : "not gzip");
    }
    if (out.size() + got > limit) {
      return fail(Code::kResourceExhausted,
                  fmt::format("unpack gzip: more than {} bytes come out", limit));
    }
    out += as_text(BytesView(buffer).first(got));
    if (result == Z_OK && got == 0 && stream.avail_in == 0) return damaged("it ends too early");
  }
  if (stream.avail_in != 0) return damaged(fmt::format("{} bytes follow it", stream.avail_in));
  return out;
}

}  // namespace coffer::initdata
