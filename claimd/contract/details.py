"""The sentences of `detail`, in both languages: what is wrong with this request, beyond the title of its code.

The sentences about a value stand where the value is checked: `field_sentences.py` here, and in `claimd/domain/`.
`{library}` is the text of a library or of the operating system, in English.
"""

from typing import Final

from claimd.domain.rounds import Status
from claimd.domain.sentences import Template

# Of any request.
NOT_HTTP: Final = Template("This is not a well-formed HTTP request.", "请求不符合 HTTP 规范。")
REFUSED_BY_LIBRARY: Final = Template("{library}", "请求无法处理：{library}。")
HEADER_TWICE: Final = Template("The header {name} is given more than once.", "请求头 {name} 重复。")
NO_CONTENT_ENCODING: Final = Template("Content-Encoding is not supported.", "不支持 Content-Encoding。")
BODY_TOO_SLOW: Final = Template("The body did not arrive in time.", "请求内容未能及时送达。")
BODY_CUT_OFF: Final = Template("The body is cut off or not well formed.", "请求内容不完整或格式有误。")
BODY_TOO_LARGE: Final = Template(
    "A body of this request may have at most {limit:,} bytes.", "此请求的内容最多为 {limit:,} 字节。"
)
BODY_NOT_JSON: Final = Template("The body is not usable as JSON: {error}.", "请求内容不是可用的 JSON：{error}。")
BODY_NOT_UTF8: Final = Template("The body is not usable as JSON: {library}.", "请求内容不是 UTF-8 编码。")
BODY_NO_OBJECT: Final = Template("The body must be a JSON object.", "请求内容必须是 JSON 对象。")
NO_FIELD: Final = Template("There is no field {name!r} in this request.", "此请求没有字段 {name!r}。")
NO_PARAMETER: Final = Template(
    "There is no parameter {name!r}; there are {names}.", "没有参数 {name!r}，可用的参数为 {names}。"
)
PARAMETER_TWICE: Final = Template("The parameter {name} is given more than once.", "参数 {name} 重复。")
NO_STATUS: Final = Template("status must be one of {names}.", "status 必须是以下之一：{names}。")
NO_CURSOR: Final = Template("after must be the `next` of another page.", "after 必须是上一页返回的 `next`。")
NO_LIMIT: Final = Template("limit must be a number from 1 to {most}.", "limit 必须是 1 到 {most} 之间的数字。")

# 503.
NO_CONNECTION_LEFT: Final = Template("All connections are in use.", "当前连接数已满。")
TOO_MANY_LISTENERS: Final = Template("Too many clients listen to events.", "当前接收实时事件的客户端过多。")
STOPPING: Final = Template("This gateway is being stopped.", "本网关正在停止。")
NO_ANSWER_OF_SERVER: Final = Template("The server does not answer.", "服务器没有响应。")
NO_KEYS_YET: Final = Template("The identity provider's keys could not be read yet.", "暂时无法读取身份认证方的密钥。")

# Of operators.
NO_ONE_TAG: Final = Template(
    "If-Match takes one ETag, in its quotation marks, or *.", "If-Match 只接受一个带引号的 ETag，或 *。"
)
AT_VERSION: Final = Template(
    "It is at version {version} now: read it again, then decide.", "当前版本为 {version}，请重新读取后再决定。"
)
TOTAL_OUT_OF_RANGE: Final = Template(
    "total_change leads out of 0 to {most}: the total is {total} now.",
    "按 total_change 调整后超出 0 到 {most} 的范围，当前总量为 {total}。",
)
CLOSE_INSTEAD: Final = Template(
    "{issued} packs were claimed: close it instead.", "已领取 {issued} 份，请改为结束本轮。"
)
ISSUED_ALREADY: Final = Template("{issued} were issued already.", "已发放 {issued} 份。")
ENDS_BEFORE_IT_BEGINS: Final = Template("closes_at must be later than opens_at", "closes_at 必须晚于 opens_at")
IN_ITS_ARCHIVE: Final = Template(
    "It was archived at {at} to {file}, SHA-256 {sha256}.", "已于 {at} 归档至 {file}，SHA-256 为 {sha256}。"
)
CLOSE_THEN_ARCHIVE: Final = Template(
    "It is {status} and closes at {closes_at}: close it, then archive it.",
    "本轮{status}，将于 {closes_at} 结束，请先结束再归档。",
)
NOT_OVER_YET: Final = Template("By the server's clock it is not over yet.", "按服务器时间，本轮尚未结束。")
SEE_AUDIT: Final = Template(
    "See `claimd audit` of the round; it stays on the server.",
    "请用 `claimd audit` 查看本轮的核对结果；数据仍在服务器上。",
)
NO_CLAIM_OF_THIS_ID: Final = Template("This round has no claim {claim!r}.", "本轮没有领取记录 {claim!r}。")
CONSOLE_WITHOUT_SECRET: Final = Template(
    "This console has no CLAIMD_SECRET, by which it finds a person's claim: start it with the gateways' secret.",
    "本控制台未设置 CLAIMD_SECRET，无法查找个人的领取记录；请用与网关相同的密钥启动。",
)
EDITED_MEANWHILE: Final = Template(
    "It was edited, or claimed from, while it was being archived; nothing was removed.",
    "归档期间该轮次被修改或有人领取；未删除任何数据。",
)
FOLDER_NOT_WRITABLE: Final = Template("{folder} cannot be written: {library}", "无法写入 {folder}：{library}")
FILE_NOT_GOOD: Final = Template("{library}", "归档文件有问题：{library}")

# Parts of sentences: a round in each status, but for the closed one.
IN_STATUS: Final = {
    Status.SCHEDULED: Template("scheduled", "尚未开始"),
    Status.OPEN: Template("open", "正在进行"),
    Status.PAUSED: Template("paused", "已暂停"),
    Status.SOLD_OUT: Template("sold out", "已领完"),
    Status.CLOSED: Template("closed", "已结束"),
}
