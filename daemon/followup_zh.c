#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "daemon/followup_private.h"

/* Chinese has no spaces to tell words by: the rules look for the closed classes (pronouns, question words, particles, the
 * verbs that questions are asked with) and take what stands between them for names. */

enum { MAX_TOPIC = 48, MAX_NAME = 12, MAX_OTHER = 12 /* characters */, MAX_ITEM = 20 /* bytes of a list's item */ };

static const char polite[] =
    "请问 你好 您好 我想知道 我想问一下 我想问 想问一下 麻烦问一下 能告诉我 可以告诉我 请告诉我 告诉我 好的 谢谢 "
    "嗯 哦 明白了 知道了 ， ,";
static const char marks[] = "？ ? 。 ！ ! ， , ； ; … ~ ～";
static const char asking[] =
    "什么时候 什么地方 什么 为什么 为何 为啥 何时 何地 何处 何种 何 哪一年 哪年 哪里 哪儿 哪些 哪个 哪一个 哪种 "
    "哪位 哪家 哪 谁 多少 多久 多长时间 多长 多大 多高 多远 多重 多 几个 几次 几年 几月 几 怎么样 怎样 怎么办 "
    "怎么 如何 是否 是不是 有没有 能不能 可不可以 可以 吗 呢 吧";
/* What a question without a subject may begin with, beside question words. */
static const char predicates[] =
    "是 有 在 由 于何 于哪 于什 被 为 属于 隶属 位于 毕业 出生 成立 建成 建于 始建 创立 创办 创建 发行 上映 出版 "
    "获得 获 去世 逝世 死于 担任 主演 全长 总共 一共 共有 包括 包含 分为 起源 拥有 经过 司职 效力 发生 开始 结束";
static const char modals[] =
    "要 需要 能 可以 会 应该 使用 花 用 从 到 对 跟 和 还 也 又 都 最 主要 总 现在 目前 后来 最后 接受 支持";
static const char relational[] =
    "价格 费用 运费 地址 时间 日期 原因 结果 目的 意义 作用 用途 作者 导演 主演 主角 成员 首都 总部 人口 面积 "
    "长度 高度 宽度 重量 大小 颜色 名字 名称 别名 原名 英文名 缺点 优点 好处 坏处 优势 劣势 特点 特性 特征 功能 "
    "步骤 流程 条件 要求 规定 规则 期限 限制 例外 种类 类型 区别 不同 历史 来源 起源 影响 症状 职业 国籍 年龄 "
    "籍贯 祖籍 父亲 母亲 妻子 丈夫 儿子 女儿 家人 代表作 创始人 创办人 老板 校长 馆长 保修期 电话 邮箱 营业时间 "
    "开放时间 门票 票价 第一 其余 剩下";
/* Ends of a phrase that names a quantity of something: what is asked about instead belongs in front of it. */
static const char quantities[] =
    "费 价 率 量 数 期 时间 价格 费用 面积 人口 长度 高度 速度 政策 规定 流程 方法 方式 地址 电话";
static const char after_name[] =
    "是 的 在 有 由 于 被 为 将会 曾经 曾在 现在 现任 现效 现为 目前 全长 位于 属于 隶属 毕业 出生 成立 建成 "
    "建于 始建 创立 创办 创建 什么 谁 哪 多少 几 何 怎 如何 又称 也 主要 可以 能否 能够 能不 会不 会导 会有 会被 "
    "会影 会发 要多 需要 共 一共 总共 原名 原本 最 从 以 担任 效力 拥有 包括 包含 使用 起源 写 获 死 去世 逝世 "
    "司职 打什 卖 与 跟 分为 经过 叫 开始 ？ ? ， , 呢 吗 大部分 通常 指 所";
static const char other_words[] =
    "土耳其 马其顿 在此 由此 对此 来此 至此 据此 为此 就此 以此 其他 其它 其中 其实 其余 其次 尤其 极其 其间 "
    "应该 因此 彼此 此外 从此 如此 此时 该怎 该如";
static const char deictic[] =
    "这里 那里 这儿 那儿 这个 那个 这些 那些 这种 那种 这样 这家 那家 这位 这座 这部 这本 这条 这项 这次 这场 "
    "这款 这首 这所 这支 该 此 上述 前者 后者 其";
/* Members of one class: one may take the place of another. */
static const char *const classes[] = {
    "国内 国外 海外 境内 境外 国际 本地 外地 省内 省外 市内 港澳台 大陆 内地 香港 澳门 台湾",
    "线上 线下 网上 门店 实体店 官网", "儿童 小孩 成人 大人 老人 老年人 学生 孕妇 婴儿", "男 女 男性 女性 男生 女生",
    "周一 周二 周三 周四 周五 周六 周日 周末 工作日 节假日", "上午 下午 晚上 中午", "个人 企业 公司 团体",
    "新用户 老用户 会员 非会员 普通会员", "现金 信用卡 支付宝 微信 银行卡", "春天 夏天 秋天 冬天 春季 夏季 秋季 冬季",
};

/* ---- lists --------------------------------------------------------------------------------- */

/* The next characters of s with simplified ones for traditional ones, which have as many bytes. */
static size_t simplify(rag_str s, size_t at, char out[MAX_ITEM + 4])
{
    size_t n = 0;
    while (at < s.len && n < MAX_ITEM) {
        char piece[4];
        size_t start = at;
        uint32_t c = rag_unicode_simplified(rag_utf8_next(s, &at));
        if (rag_utf8_encode(c, piece) != at - start)
            break;
        memcpy(out + n, piece, at - start);
        n += at - start;
    }
    return n;
}

/* Bytes of the longest item of a list (items between spaces) that stands at `at`; 0 = none. */
static size_t item_at(rag_str s, size_t at, const char *list)
{
    char here[MAX_ITEM + 4];
    size_t best = 0, len = simplify(s, at, here);
    for (const char *item = list; *item;) {
        size_t n = strcspn(item, " ");
        if (n > best && n <= len && memcmp(here, item, n) == 0)
            best = n;
        item += n + (item[n] == ' ');
    }
    return best;
}

static size_t next_char(rag_str s, size_t at)
{
    rag_utf8_next(s, &at);
    return at;
}

/* Where the first item stands at or after `from`; s.len = nowhere. */
static size_t find_item(rag_str s, size_t from, const char *list)
{
    size_t at = from;
    while (at < s.len && !item_at(s, at, list))
        at = next_char(s, at);
    return at < s.len ? at : s.len;
}

static rag_str trim_front(rag_str s, const char *list)
{
    size_t n;
    s = rag_str_trim(s);
    while (s.len && (n = item_at(s, 0, list)) > 0)
        s = rag_str_trim(rag_str_sub(s, n, s.len));
    return s;
}

static rag_str trim_back(rag_str s, const char *list)
{
    for (bool cut = true; cut && s.len;) {
        size_t last = s.len;
        s = rag_str_trim(s);
        if (s.len == 0)
            break;
        last = s.len;
        rag_utf8_prev(s, &last);
        cut = item_at(s, last, list) == s.len - last;
        if (cut)
            s.len = last;
    }
    return s;
}

static bool is_function_char(rag_str s, size_t at)
{
    static const char functions[] =
        "的 了 是 在 吗 呢 么 吧 啊 呀 之 与 和 及 或 而 且 但 也 都 就 还 又 把 被 从 对 于 以 其 "
        "这 那 此 该 个 些 您 你 我 他 她 它 们 请 有 由 为 会 能 要 所 过 着 到 里 年 月 日";
    return item_at(s, at, functions) > 0;
}

/* Characters of [from, to) that say something. */
static size_t count_content(rag_str s, size_t from, size_t to)
{
    size_t n = 0;
    for (size_t at = from, skip; at < to;) {
        if ((skip = item_at(s, at, asking)) > 0) {
            at += skip;
            continue;
        }
        size_t pos = at;
        rag_char_class class = rag_unicode_class(rag_utf8_next(s, &pos));
        n += (class == RAG_CHAR_LETTER || class == RAG_CHAR_CJK) && !is_function_char(s, at);
        at = pos;
    }
    return n;
}

rag_str chinese_topic(rag_str question, rag_arena *arena)
{
    rag_str s = trim_back(trim_front(question, polite), marks);
    (void)arena;
    s = trim_back(s, "吗 呢");
    if (count_content(s, 0, s.len) == 0)
        return (rag_str){ 0 };
    size_t end = 0;
    for (size_t n = 0; end < s.len && n < MAX_TOPIC; n++)
        end = next_char(s, end);
    s.len = end;
    return s;
}

/* ---- the name that a question is about ----------------------------------------------------- */

static rag_str title_of(rag_str s)
{
    size_t open = rag_str_find(s, RAG_STR("《"), 0), close = rag_str_find(s, RAG_STR("》"), 0);
    if (open == SIZE_MAX || close == SIZE_MAX || close < open || rag_str_find(s, RAG_STR("《"), open + 1) != SIZE_MAX)
        return (rag_str){ 0 };
    return rag_str_sub(s, open, close + strlen("》"));
}

/* What stands before the first verb, question word or 的.  *end: its last byte's offset in s, plus one. */
static rag_str leading_name(rag_str s)
{
    static const char no_start[] = "它 他 她 其 在 从 除了 当 为了 第 一 「 “ ‘ 0 1 2 3 4 5 6 7 8 9";
    if (s.len == 0 || item_at(s, 0, asking) || item_at(s, 0, deictic) || item_at(s, 0, no_start) || item_at(s, 0, modals))
        return (rag_str){ 0 };
    size_t end = find_item(s, next_char(s, 0), after_name), last = end;
    rag_str name = rag_str_sub(s, 0, end);
    size_t n = rag_utf8_count(name);
    if (end == s.len || n < 2 || n > MAX_NAME)
        return (rag_str){ 0 };
    rag_utf8_prev(s, &last);
    return item_at(s, last, "中 里 上 下 时 后 前 年 月 日 ） ” 」") ? (rag_str){ 0 } : name;
}

static rag_str name_of(rag_str question)
{
    rag_str title = title_of(question);
    return title.len ? title : leading_name(trim_front(question, polite));
}

/* ---- cues ------------------------------------------------------------------------------------- */

/* "那X呢？": X; *found also when X is empty. */
static rag_str other_one(rag_str s, bool *found)
{
    rag_str body = trim_back(s, marks);
    *found = rag_str_ends(body, RAG_STR("呢"));
    if (!*found)
        return (rag_str){ 0 };
    body.len -= strlen("呢");
    body = trim_front(body, "那么 那 还有 以及 另外 然后 而 和 如果是 要是 换成 ， ,");
    *found = rag_utf8_count(body) <= MAX_OTHER && find_item(body, 0, asking) == body.len;
    return *found ? body : (rag_str){ 0 };
}

/* Latin letters, digits or a title are a name of their own. */
static bool has_foreign(rag_str s)
{
    for (size_t at = 0; at < s.len;) {
        rag_char_class class = rag_unicode_class(rag_utf8_next(s, &at));
        if (class == RAG_CHAR_LETTER || class == RAG_CHAR_DIGIT)
            return true;
    }
    return find_item(s, 0, "《 “ 「") < s.len;
}

/* “配件也一样吗”: as what? */
static bool is_too(rag_str s)
{
    size_t at = find_item(s, 0,
                          "也一样 也可以 也能 也行 也适用 也支持 也要 也需要 也有 也是 也算 还可以 还能 还行 还有效 一样吗");
    return at > 0 && at < s.len && !has_foreign(s) && count_content(s, 0, s.len) <= 5;
}

static bool is_correction(rag_str s)
{
    return item_at(s, 0, "我是说 我的意思是 我指的是 我说的是 不对 不是 我问的是") > 0;
}

/* Something before byte `at` that a pronoun there could stand for. */
static bool is_bound(rag_str s, size_t at, size_t end, bool personal)
{
    size_t before = count_content(s, 0, at);
    if (find_item(rag_str_sub(s, 0, at), 0, "， , 。 ？ ；") < at || personal)
        before += item_at(s, end, "的 妻 父 母 儿 女 兄 弟 姐 妹") > 0 ? 2 : 0;
    else
        return item_at(s, at, "其") > 0 && before >= 2;
    return before >= 4;
}

/* “氧气这个词”, “蔑儿乞人那里”: what stands in front is what it points to. */
static bool is_apposition(rag_str s, size_t at, size_t end)
{
    size_t before = at;
    if (at == 0)
        return false;
    rag_utf8_prev(s, &before);
    if (item_at(s, before, "” 」 》 ’ ）"))
        return true;
    if (item_at(s, at, "这里 那里 这儿 那儿"))
        return !is_function_char(s, before) && !item_at(s, before, "去 住");
    if (item_at(s, end, "词 字 名 概念 说法 术语"))
        return true;
    return !item_at(s, 0, asking) && !is_function_char(s, before) && count_content(s, 0, at) >= 4;
}

/* The first pronoun without its noun, as bytes; empty when there is none. */
static rag_span find_pronoun(rag_str s, bool *personal)
{
    static const char pronouns[] = "它们 他们 她们 它 他 她";
    for (size_t at = 0; at < s.len;) {
        size_t skip = item_at(s, at, other_words), n = skip ? 0 : item_at(s, at, pronouns);
        *personal = n > 0;
        if (!skip && n == 0)
            n = item_at(s, at, deictic);
        if (n && !is_bound(s, at, at + n, *personal) && !is_apposition(s, at, at + n))
            return (rag_span){ at, at + n };
        at = skip ? at + skip : next_char(s, at);
    }
    return (rag_span){ 0 };
}

static bool is_definition(rag_str s)
{
    return item_at(s, 0, "什么是 什么叫 谁是 何为 何谓") > 0;
}

/* It begins with what something else would stand before. */
static bool lacks_subject(rag_str s)
{
    if (has_foreign(s) || is_definition(s))
        return false;
    static const struct {
        const char *list;
        size_t most;
    } starts[] = { { asking, 3 }, { predicates, 5 }, { modals, 2 } };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t n = item_at(s, 0, starts[i].list);
        if (n > 0)
            return count_content(s, n, s.len) <= starts[i].most;
    }
    return false;
}

static bool is_relational(rag_str s)
{
    size_t n = item_at(s, 0, relational);
    return n > 0 && !has_foreign(s) && count_content(s, n, s.len) <= 3 && !item_at(s, n, "的");
}

/* ---- building --------------------------------------------------------------------------------- */

static followup made(followup_cue cue, rag_str a, rag_str b, rag_str c, rag_str topic, rag_arena *arena)
{
    char *text = rag_arena_printf(arena, "%.*s%.*s%.*s", RAG_STR_ARG(a), RAG_STR_ARG(b), RAG_STR_ARG(c));
    return (followup){ .cue = cue, .question = rag_str_of(text), .topic = topic };
}

static followup replace_span(rag_str in, size_t from, size_t to, rag_str by, rag_arena *arena)
{
    return made(FOLLOWUP_CONNECTIVE, rag_str_sub(in, 0, from), by, rag_str_sub(in, to, in.len), in, arena);
}

/* A member of X's class in the last question. */
static bool find_classmate(rag_str before, rag_str x, rag_span *out)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (item_at(x, 0, classes[i]) != x.len)
            continue;
        size_t at = find_item(before, 0, classes[i]);
        *out = (rag_span){ at, at + item_at(before, at, classes[i]) };
        if (at < before.len && !rag_str_eq(x, rag_str_sub(before, out->start, out->end)))
            return true;
    }
    return false;
}

/* 上半年 and 下半年, 纽约大学 and 北京大学: the last question's phrase that ends like X, at least as far as half of X. */
static bool find_alike(rag_str before, rag_str x, rag_span *out)
{
    for (size_t cut = next_char(x, 0); cut < x.len; cut = next_char(x, cut)) {
        rag_str tail = rag_str_sub(x, cut, x.len);
        size_t at = rag_str_find(before, tail, 0), start = at, n = rag_utf8_count(rag_str_sub(x, 0, cut));
        if (at == SIZE_MAX || at == 0 || 2 * rag_utf8_count(tail) < rag_utf8_count(x) - 1)
            continue;
        for (; n > 0 && start > 0 && !is_function_char(before, start); n--)
            rag_utf8_prev(before, &start);
        *out = (rag_span){ start, at + tail.len };
        return start < at;
    }
    return false;
}

static bool ends_with_quantity(rag_str name)
{
    for (size_t at = 0; at < name.len; at = next_char(name, at))
        if (at + item_at(name, at, quantities) == name.len)
            return true;
    return false;
}

static followup replace_other(rag_str before, rag_str x, rag_str question, rag_str topic, rag_arena *arena)
{
    rag_span span;
    rag_str name = name_of(before);
    if (item_at(x, 0, "其 它 他 她 这 那"))
        x.len = 0;
    if (x.len && find_classmate(before, x, &span))
        return replace_span(before, span.start, span.end, x, arena);
    if (x.len && find_alike(before, x, &span))
        return replace_span(before, span.start, span.end, x, arena);
    if (x.len && name.len && !ends_with_quantity(name) && !rag_str_ends(x, RAG_STR("的"))) {
        size_t at = rag_str_find(before, name, 0);
        return replace_span(before, at, at + name.len, x, arena);
    }
    return followup_append(FOLLOWUP_CONNECTIVE, question, topic, arena);
}

static followup with_subject(rag_str s, rag_str name, bool possessive, rag_str topic, rag_arena *arena)
{
    if (name.len == 0 || count_content(s, 0, s.len) == 0)
        return followup_append(FOLLOWUP_ELLIPSIS, s, topic, arena);
    return made(FOLLOWUP_ELLIPSIS, name, possessive ? RAG_STR("的") : (rag_str){ 0 }, s, name, arena);
}

static followup with_pronoun(rag_str s, rag_span p, bool personal, rag_str name, rag_str topic, rag_arena *arena)
{
    rag_str word = rag_str_sub(s, p.start, p.end);
    bool whose = rag_str_eq(word, RAG_STR("其"));
    bool plural = rag_str_ends(word, RAG_STR("们"));
    followup_cue cue = personal || whose ? FOLLOWUP_PRONOUN : FOLLOWUP_DEFINITE;
    if (name.len == 0 || plural || cue == FOLLOWUP_DEFINITE)
        return followup_append(cue, s, topic, arena);
    rag_str by = whose ? rag_str_of(rag_arena_printf(arena, "%.*s的", RAG_STR_ARG(name))) : name;
    return made(cue, rag_str_sub(s, 0, p.start), by, rag_str_sub(s, p.end, s.len), name, arena);
}

followup chinese_resolve(const followup_turn *last, rag_str question, rag_arena *arena)
{
    bool other, personal;
    rag_str about, core = topic_split(last->resolved.len ? last->resolved : last->question, &about);
    rag_str before = trim_front(core, polite), topic = topic_of(last, arena), name = name_of(before);
    rag_str s = trim_front(question, polite), x = other_one(s, &other);
    rag_str plain = trim_front(s, "那么 那 然后 所以 另外 还有 ， ,");
    if (other)
        return replace_other(before, x, question, topic, arena);
    if (is_correction(s))
        return followup_append(FOLLOWUP_CORRECTION, question, topic, arena);
    rag_span p = find_pronoun(s, &personal);
    if (p.start < p.end)
        return with_pronoun(s, p, personal, name, topic, arena);
    if (is_relational(plain))
        return with_subject(plain, name, true, topic, arena);
    if (lacks_subject(plain))
        return with_subject(plain, name, false, topic, arena);
    return followup_append(is_too(plain) ? FOLLOWUP_CONNECTIVE : FOLLOWUP_NONE, question, topic, arena);
}
